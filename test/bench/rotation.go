package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"azekura/internal/envelope"
	"azekura/internal/seal"
	"azekura/internal/server"
	"azekura/internal/store"
)

const ringKeys = 10_000 // of the keyring that is put under another root key

// rotation compares reads while the root key is changed, one time after the
// other, with reads while nothing else is done.
func (b *bench) rotation() (section, error) {
	s := section{title: "A new root key"}
	s.text = fmt.Sprintf(`GetSecretValue of %s secrets, while a keyring of %s keys is put under a new root key again and again, without
a pause, as by azekura seal rotate; and while nothing else is done. Usually a keyring has one key.`, thousands(fewSecrets), thousands(ringKeys))
	dir := filepath.Join(b.work, "rotation")
	if err := b.fillRing(dir); err != nil {
		return s, err
	}
	ours, err := b.serve(b.cpus.server, dir)
	if err != nil {
		return s, err
	}
	defer ours.kill()
	pick := spread(fewSecrets, fewSecrets)
	if err := ours.warm(b, pick(0)); err != nil {
		return s, err
	}
	t := s.table("connections", "while it is changed", "else")
	perSecond, cpu, p50, p99 := figures()
	var took []float64
	for _, connections := range []int{16, 64} {
		b.say("GetSecretValue and new root keys, %d connections ...", connections)
		quiet, busy := ours.reads(connections, pick), ours.reads(connections, pick)
		busy.beside = func(ctx context.Context) error {
			for ctx.Err() == nil {
				began := time.Now()
				if _, err := (server.Sealing{DataDir: dir}).Rotate(context.WithoutCancel(ctx), false); err != nil {
					return err
				}
				took = append(took, time.Since(began).Seconds()*1e3)
			}
			return nil
		}
		results, err := b.takeTurns(busy, quiet)
		if err != nil {
			return s, err
		}
		name := fmt.Sprint(connections)
		for _, f := range []figure{perSecond, cpu, p50} {
			t.compare(name, f, results[0], results[1], nil)
		}
		t.compare(name, p99, results[0], results[1],
			s.atMost(fmt.Sprintf("GetSecretValue, %d connections, while a keyring of %s keys changes its root key: p99 against else", connections, thousands(ringKeys)),
				results[0].over(results[1], p99), 2))
	}
	s.note("A change of the root key took %s ms, %d of them.", spreadOver(took), len(took))
	return s, ours.stop()
}

// fillRing makes a store of some secrets, with a keyring of many keys.
func (b *bench) fillRing(dir string) (err error) {
	n, err := b.serve(b.cpus.all, dir)
	if err != nil {
		return err
	}
	defer n.kill()
	if err := n.fill(b, fewSecrets); err != nil {
		return err
	}
	if err := n.stop(); err != nil {
		return err
	}
	ctx := context.Background()
	root, err := seal.File(filepath.Join(dir, "root-key"))
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, store.Config{Path: filepath.Join(dir, "azekura.db")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Update(ctx, func(tx *store.Tx) error {
		for number := 2; number <= ringKeys; number++ {
			id, key := uuid.NewString(), envelope.NewKey()
			wrapped, err := root.Wrap(ctx, &key, envelope.AAD("keyring key", id))
			if err == nil {
				_, err = tx.Exec(`INSERT INTO keyring (number, id, wrapped, root, created_at) VALUES ($1, $2, $3, $4, 0)`, number, id, wrapped, root.Fingerprint())
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
