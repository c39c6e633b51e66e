package backup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// syncEvery bounds how much of a new file waits for the disk at once. One
// fsync of gigabytes would keep the fsync of every commit beside it waiting.
const syncEvery = 8 << 20

// Save writes a file, which gets its name only when it is whole and durable:
// until then, and after an error or a kill, the file that had the name before
// is still there. A kill leaves a file that starts with a dot and path's name.
func Save(path string, write func(io.Writer) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, plainly(err))
		}
	}()
	dir := filepath.Dir(path)
	draft, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.new") // mode 0600
	if err != nil {
		return err
	}
	err = errors.Join(write(&pacer{file: draft}), draft.Sync(), draft.Close())
	if err == nil {
		err = os.Rename(draft.Name(), path)
	}
	if err != nil {
		os.Remove(draft.Name())
		return err
	}
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// A pacer writes to a file and forces it to the disk bit by bit.
type pacer struct {
	file    *os.File
	waiting int
}

func (p *pacer) Write(b []byte) (int, error) {
	n, err := p.file.Write(b)
	if p.waiting += n; err == nil && p.waiting >= syncEvery {
		p.waiting, err = 0, p.file.Sync()
	}
	return n, err
}

// plainly says what a full disk is.
func plainly(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("the disk is full, free some space and try again: %w", err)
	}
	return err
}
