package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
)

// A digest hashes the rows of one table in the order of its key. Two tables
// have the same digest only if they hold the same rows, whatever the engine:
// values are encoded by what they are, each with its length, so that none can
// run into the next.
type digest struct {
	table string
	rows  int64
	hash  hash.Hash
	row   []byte
}

func newDigest(t *table) *digest {
	d := &digest{table: t.name, hash: sha256.New()}
	d.text(t.name)
	for _, c := range t.columns {
		d.text(c.name)
		d.text(c.kind)
	}
	d.flush()
	return d
}

func (d *digest) text(s string) {
	d.row = append(binary.BigEndian.AppendUint64(d.row, uint64(len(s))), s...)
}

func (d *digest) flush() {
	d.hash.Write(d.row)
	d.row = d.row[:0]
}

// add takes a row as table.normalize leaves it.
func (d *digest) add(row []any) {
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			d.row = append(d.row, 'n')
		case int64:
			d.row = binary.BigEndian.AppendUint64(append(d.row, 'i'), uint64(v))
		case bool:
			b := byte(0)
			if v {
				b = 1
			}
			d.row = append(d.row, 'b', b)
		case string:
			d.row = append(d.row, 't')
			d.text(v)
		case []byte:
			d.row = append(binary.BigEndian.AppendUint64(append(d.row, 'x'), uint64(len(v))), v...)
		default:
			panic(fmt.Sprintf("a %T in a digest", v))
		}
	}
	d.rows++
	d.flush()
}

// sum is the digest of the rows so far.
func (d *digest) sum() [sha256.Size]byte { return [sha256.Size]byte(d.hash.Sum(nil)) }

func (d *digest) equal(other *digest) bool { return d.rows == other.rows && d.sum() == other.sum() }

// digest reads all rows of a table.
func (t *table) digest(ctx context.Context, tx *Tx, read func(rows int)) (*digest, error) {
	d := newDigest(t)
	err := t.pages(ctx, tx, func(rows [][]any) error {
		for _, row := range rows {
			d.add(row)
		}
		read(len(rows))
		return nil
	})
	return d, err
}

// total is one digest of those of all tables.
func total(version int64, tables []*digest) string {
	all := sha256.New()
	all.Write(binary.BigEndian.AppendUint64(nil, uint64(version)))
	for _, d := range tables {
		sum := d.sum()
		all.Write(sum[:])
	}
	return hex.EncodeToString(all.Sum(nil))
}
