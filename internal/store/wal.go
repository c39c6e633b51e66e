package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// The WAL's format, https://www.sqlite.org/fileformat2.html#walformat.
const (
	walHeader   = 32
	frameHeader = 24
	walMagic    = 0x377f0682 // with a 1 added if checksums are of big-endian words
	maxWALPage  = 65536
)

// checkWAL refuses a WAL that is damaged in the middle. SQLite takes the first
// page that is not whole for the end, as a loss of power leaves it, and would
// lose what was acknowledged after it without a word, and then the WAL too.
//
// Behind such a page there may be a commit that was cut off, or what is left of
// several that failed, each of which was written over the one before. Two that
// follow one another are no accident: the second was begun when the first had
// reached the disk.
func checkWAL(path string) error {
	lost, err := commitsLost(path + "-wal")
	if err != nil {
		return fmt.Errorf("read the WAL: %w", err)
	}
	if lost > 1 {
		return fmt.Errorf("%s-wal is damaged, and at least %d commits in it cannot be read: restore a backup, or, to go on without them, run sqlite3 %s 'PRAGMA wal_checkpoint(TRUNCATE)'", path, lost, path)
	}
	return nil
}

// commitsLost counts the commits in a WAL that follow one another behind the
// first page that is not whole.
func commitsLost(wal string) (lost int, err error) {
	f, err := os.Open(wal)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	header := make([]byte, walHeader)
	if _, err := io.ReadFull(r, header); err != nil {
		return 0, ignoreEnd(err)
	}
	magic, size := binary.BigEndian.Uint32(header), binary.BigEndian.Uint32(header[8:])
	sum := &walSum{order: binary.LittleEndian}
	if magic == walMagic+1 {
		sum.order = binary.BigEndian
	}
	sum.add(header[:24])
	if magic&^1 != walMagic || size > maxWALPage || !sum.is(header[24:]) {
		return 0, nil // the WAL was not begun: its header is forced to the disk first
	}
	frame := make([]byte, frameHeader+size)
	for whole, run := true, 0; ; {
		if _, err := io.ReadFull(r, frame); err != nil {
			return lost, ignoreEnd(err)
		}
		sum.add(frame[:8])
		sum.add(frame[frameHeader:])
		follows := string(frame[8:16]) == string(header[16:24]) && sum.is(frame[16:])
		endsCommit := binary.BigEndian.Uint32(frame[4:]) != 0
		switch {
		case !follows:
			whole, run = false, 0
			sum.set(frame[16:])
		case endsCommit && !whole:
			run++
			lost = max(lost, run)
		}
	}
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// A walSum is the running checksum of a WAL.
type walSum struct {
	order  binary.ByteOrder
	s0, s1 uint32
}

func (w *walSum) add(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		w.s0 += w.order.Uint32(b) + w.s1
		w.s1 += w.order.Uint32(b[4:]) + w.s0
	}
}

func (w *walSum) set(b []byte) {
	w.s0, w.s1 = binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
}

func (w *walSum) is(b []byte) bool {
	return binary.BigEndian.Uint32(b) == w.s0 && binary.BigEndian.Uint32(b[4:]) == w.s1
}
