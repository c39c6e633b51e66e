package faults

import (
	"context"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

const pageBytes = 4096

// A disk is a file system that fails when it is told to, and that knows what
// would be left of it after a loss of power: what an fsync has forced to the
// disk, and of the rest what chance has.
//
// After an fsync that failed it does as Linux does: the pages stay readable,
// count as clean, and are written by no later fsync.
type disk struct {
	mounted string // for the server
	cached  string // what a process reads, also after the server was killed

	mu      sync.Mutex
	durable string                    // what has reached the disk
	dirty   map[string]map[int64]bool // by path, the pages that have not, by number
	fail    func(op, path string) bool
	failed  int
}

// The operations that can be made to fail.
const (
	opRead  = "read"
	opWrite = "write"
	opSync  = "fsync"
)

// newDisk mounts a disk, or skips the test where that takes rights that it does
// not have.
func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{mounted: t.TempDir(), cached: t.TempDir(), durable: t.TempDir(), dirty: map[string]map[int64]bool{}}
	data := &fusefs.LoopbackRoot{Path: d.cached, NewNode: func(data *fusefs.LoopbackRoot, _ *fusefs.Inode, _ string, _ *syscall.Stat_t) fusefs.InodeEmbedder {
		return &diskNode{fusefs.LoopbackNode{RootData: data}, d}
	}}
	root := data.NewNode(data, nil, "", nil)
	data.RootNode = root
	server, err := fusefs.Mount(d.mounted, root, &fusefs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "faults", Name: "faults", DisableXAttrs: true},
	})
	if err != nil {
		t.Skipf("mount a file system of our own: %v", err)
	}
	t.Cleanup(func() {
		syscall.Unmount(d.mounted, syscall.MNT_DETACH)
		server.Unmount()
	})
	return d
}

// failWhen sets what fails from now on; nil is nothing.
func (d *disk) failWhen(fail func(op, path string) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fail
}

// failures is how many operations have failed.
func (d *disk) failures() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// do runs one operation of a file with what it does to the disk.
func (d *disk) do(op, path string, run func() syscall.Errno) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil && d.fail(op, path) {
		d.failed++
		if op == opSync {
			d.reach(path, rand.IntN(2)) // the half of them at most: some never came
			delete(d.dirty, path)
		}
		return syscall.EIO
	}
	return run()
}

// reach brings dirty pages of a file to the disk, each with odds of one in so
// many; 1 is all.
func (d *disk) reach(path string, odds int) {
	from, err := os.Open(filepath.Join(d.cached, path))
	if err != nil {
		return
	}
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(d.durable, path), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	defer to.Close()
	page := make([]byte, pageBytes)
	for n := range d.dirty[path] {
		if odds != 1 && (odds == 0 || rand.IntN(odds) != 0) {
			continue
		}
		length, err := from.ReadAt(page, n*pageBytes)
		if err != nil && err != io.EOF {
			panic(err)
		}
		if _, err := to.WriteAt(page[:length], n*pageBytes); err != nil {
			panic(err)
		}
	}
}

// powerCut is a copy of what the disk holds when the power fails now, without
// the files that SQLite shares memory by.
func (d *disk) powerCut(t *testing.T) string {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	left := filepath.Join(t.TempDir(), "left")
	saved := d.durable
	if err := os.CopyFS(left, os.DirFS(saved)); err != nil {
		t.Fatal(err)
	}
	d.durable = left
	for path := range d.dirty {
		d.reach(path, 2)
	}
	d.durable = saved
	err := filepath.WalkDir(left, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return os.Chmod(path, 0o700)
		case strings.HasSuffix(path, "-shm"):
			return os.Remove(path)
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// A diskNode is a file or a folder. What becomes of names, and that a file was
// cut, reaches the disk at once.
type diskNode struct {
	fusefs.LoopbackNode
	disk *disk
}

func (n *diskNode) path(name string) string { return filepath.Join(n.Path(nil), name) }

func (n *diskNode) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	os.Mkdir(filepath.Join(n.disk.durable, n.path(name)), 0o700)
	return n.LoopbackNode.Mkdir(ctx, name, mode, out)
}

func (n *diskNode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fusefs.Inode, fusefs.FileHandle, uint32, syscall.Errno) {
	inode, handle, _, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	return inode, inode.Operations().(*diskNode).file(handle), n.flags(name), 0
}

func (n *diskNode) Open(ctx context.Context, flags uint32) (fusefs.FileHandle, uint32, syscall.Errno) {
	handle, _, errno := n.LoopbackNode.Open(ctx, flags)
	return n.file(handle), n.flags(n.path("")), errno
}

// flags keep the kernel from answering reads by itself, but for the file that
// is memory.
func (n *diskNode) flags(name string) uint32 {
	if strings.HasSuffix(name, "-shm") {
		return 0
	}
	return fuse.FOPEN_DIRECT_IO
}

func (n *diskNode) file(handle fusefs.FileHandle) fusefs.FileHandle {
	if f, ok := handle.(*fusefs.LoopbackFile); ok {
		return &diskFile{f: f, node: n}
	}
	return handle
}

func (n *diskNode) Unlink(ctx context.Context, name string) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	os.Remove(filepath.Join(n.disk.durable, n.path(name)))
	delete(n.disk.dirty, n.path(name))
	return n.LoopbackNode.Unlink(ctx, name)
}

func (n *diskNode) Link(ctx context.Context, target fusefs.InodeEmbedder, name string, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	os.Link(filepath.Join(n.disk.durable, target.(*diskNode).path("")), filepath.Join(n.disk.durable, n.path(name)))
	return n.LoopbackNode.Link(ctx, target, name, out)
}

func (n *diskNode) Rename(ctx context.Context, name string, parent fusefs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	d, from, to := n.disk, n.path(name), parent.(*diskNode).path(newName)
	d.mu.Lock()
	defer d.mu.Unlock()
	os.Rename(filepath.Join(d.durable, from), filepath.Join(d.durable, to))
	delete(d.dirty, to)
	if pages, ok := d.dirty[from]; ok {
		d.dirty[to] = pages
		delete(d.dirty, from)
	}
	return n.LoopbackNode.Rename(ctx, name, parent, newName, flags)
}

func (n *diskNode) Setattr(ctx context.Context, handle fusefs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		n.disk.mu.Lock()
		defer n.disk.mu.Unlock()
		path := n.path("")
		if f, err := os.OpenFile(filepath.Join(n.disk.durable, path), os.O_WRONLY|os.O_CREATE, 0o600); err == nil {
			f.Truncate(int64(size))
			f.Close()
		}
		for page := range n.disk.dirty[path] {
			if page*pageBytes >= int64(size) {
				delete(n.disk.dirty[path], page)
			}
		}
	}
	return n.LoopbackNode.Setattr(ctx, nil, in, out)
}

// A diskFile is an open file. It does not embed the loopback's, which would let
// the kernel go past it.
type diskFile struct {
	f    *fusefs.LoopbackFile
	node *diskNode
}

func (f *diskFile) Read(ctx context.Context, buf []byte, off int64) (result fuse.ReadResult, errno syscall.Errno) {
	errno = f.node.disk.do(opRead, f.node.path(""), func() (errno syscall.Errno) {
		result, errno = f.f.Read(ctx, buf, off)
		return errno
	})
	return result, errno
}

func (f *diskFile) Write(ctx context.Context, data []byte, off int64) (written uint32, errno syscall.Errno) {
	d, path := f.node.disk, f.node.path("")
	errno = d.do(opWrite, path, func() (errno syscall.Errno) {
		written, errno = f.f.Write(ctx, data, off)
		if d.dirty[path] == nil {
			d.dirty[path] = map[int64]bool{}
		}
		for n := off / pageBytes; n*pageBytes < off+int64(written); n++ {
			d.dirty[path][n] = true
		}
		return errno
	})
	return written, errno
}

func (f *diskFile) Fsync(context.Context, uint32) syscall.Errno {
	d, path := f.node.disk, f.node.path("")
	return d.do(opSync, path, func() syscall.Errno {
		d.reach(path, 1)
		delete(d.dirty, path)
		return 0
	})
}

func (f *diskFile) Flush(ctx context.Context) syscall.Errno   { return f.f.Flush(ctx) }
func (f *diskFile) Release(ctx context.Context) syscall.Errno { return f.f.Release(ctx) }
