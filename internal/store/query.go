package store

import "time"

// selectLease reads who holds a lease now; ErrNotFound if nobody does.
func selectLease(tx *Tx, name string) (holder string, err error) {
	return One(tx, func(holder *string) []any { return []any{holder} },
		`SELECT holder FROM leases WHERE name = $1 AND expires_at > `+tx.now()+` AND expires_at <= `+tx.now()+` + $2`,
		name, maxLease.Milliseconds())
}

// takeLease gives a lease that nobody holds to a holder, under the next term;
// ErrNotFound if somebody does. An end that is too far off was written by a
// clock that has been set back since.
func takeLease(tx *Tx, name, holder string, ttl time.Duration) (term int64, err error) {
	return One(tx, func(term *int64) []any { return []any{term} },
		`INSERT INTO leases (name, holder, term, expires_at) VALUES ($1, $2, 1, `+tx.now()+` + $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, term = leases.term + 1, expires_at = excluded.expires_at
		WHERE leases.expires_at <= `+tx.now()+` OR leases.expires_at > `+tx.now()+` + $4
		RETURNING term`, name, holder, ttl.Milliseconds(), maxLease.Milliseconds())
}

// extendLease locks the row of a lease that is held still, and says whether it
// is.
func extendLease(tx *Tx, l Lease) (held bool, err error) {
	n, err := tx.Exec(`UPDATE leases SET expires_at = `+tx.now()+` + $3
		WHERE name = $1 AND term = $2 AND expires_at > `+tx.now(), l.Name, l.Term, l.TTL.Milliseconds())
	return n == 1, err
}

func endLease(tx *Tx, l Lease) error {
	_, err := tx.Exec(`UPDATE leases SET expires_at = 0 WHERE name = $1 AND term = $2`, l.Name, l.Term)
	return err
}

// writeMark changes a row that means nothing.
func writeMark(tx *Tx, holder string) error {
	_, err := tx.Exec(`INSERT INTO leases (name, holder, term, expires_at) VALUES ('', $1, 1, 0)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, term = leases.term + 1`, holder)
	return err
}
