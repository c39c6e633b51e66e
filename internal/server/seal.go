package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"

	"azekura/internal/backup"
	"azekura/internal/envelope"
	"azekura/internal/iam"
	"azekura/internal/seal"
	"azekura/internal/store"
)

var errSealed = errors.New("the server is sealed: its root key cannot be reached")

// backupSource is what the door's backups are made of.
func (s *Server) backupSource() (backup.Source, error) {
	root := s.root.Load()
	switch {
	case root == nil:
		return backup.Source{}, errSealed
	case s.cfg.DatabaseURL != "":
		return backup.Source{}, errors.New("its data is not in the directory; if the data is in PostgreSQL, give --database-url")
	}
	return backup.Source{
		Copy: s.db.CopyTo, Account: iam.FirstAccount, Root: *root, Version: s.cfg.Version, Scratch: scratchPath(s.cfg.DataDir),
	}, nil
}

// A Sealing is what an operator does to the root key: by a server that has the
// data directory, or without one if none runs.
type Sealing struct {
	DataDir         string
	DatabaseURL     string
	DatabaseStandby bool
	Seal            seal.Config
	Progress        func(done, all int) // of keys; may be nil
}

// Rotate puts the keyring under a new root key, and with newKey also adds a key
// to the keyring, under which all is sealed from then on. It returns the
// fingerprint of the root key.
func (s Sealing) Rotate(ctx context.Context, newKey bool) (string, error) {
	order, err := json.Marshal(rotation{newKey})
	if err != nil {
		return "", err
	}
	return s.carryOut(ctx, "/seal/rotate", string(order), func(db *store.DB, root envelope.Root, where seal.Config) (envelope.Root, error) {
		next, err := root, error(nil)
		if !newKey || !othersHaveACopy(s.DatabaseURL, where) {
			next, err = seal.Rotate(ctx, where, db, root, s.Progress)
		}
		if err != nil || !newKey {
			return next, err
		}
		keyring, err := seal.OpenKeyring(ctx, db, next)
		if err != nil {
			return nil, err
		}
		return next, keyring.Add(ctx)
	})
}

// Migrate puts the keyring under the root key of another seal, and returns the
// fingerprint of that. What the seal needs is then in the settings that the
// server is next started with. A running server reads secrets of the other seal
// from files only.
func (s Sealing) Migrate(ctx context.Context, to seal.Config) (string, error) {
	if err := to.Check(); err != nil {
		return "", err
	}
	to, err := portable(to)
	if err != nil {
		return "", err
	}
	order, err := json.Marshal(to)
	if err != nil {
		return "", err
	}
	return s.carryOut(ctx, "/seal/migrate", string(order), func(db *store.DB, root envelope.Root, where seal.Config) (envelope.Root, error) {
		return seal.Migrate(ctx, where, to.In(s.DataDir), db, root, s.Progress)
	})
}

// portable is a seal's settings as a server in another directory reads them. A
// secret that is given by itself is never sent: it prints as ***.
func portable(c seal.Config) (seal.Config, error) {
	if c.Passphrase != "" || c.Token != "" || c.PIN != "" {
		return c, errors.New("the secrets of the new seal have to be in files: seal-passphrase-file, seal-token-file, seal-pin-file")
	}
	for _, file := range []*string{&c.CAFile, &c.PassphraseFile, &c.TokenFile, &c.PINFile, &c.Module} {
		if *file == "" {
			continue
		}
		path, err := filepath.Abs(*file)
		if err != nil {
			return c, err
		}
		*file = path
	}
	return c, nil
}

// Status says in words how the keyring is sealed.
func (s Sealing) Status(ctx context.Context) (string, error) {
	answer, err := knock(ctx, s.DataDir, "/seal/status", nil)
	if err == nil {
		defer answer.Close()
		text, err := io.ReadAll(io.LimitReader(answer, 4<<10))
		return string(text), err
	}
	if !errors.Is(err, errNobodyThere) {
		return "", err
	}
	var text string
	err = s.alone(ctx, func(db *store.DB) error {
		text, err = describeRing(ctx, db)
		return err
	})
	return "no server is running\n" + text, err
}

func describeRing(ctx context.Context, db *store.DB) (string, error) {
	var ring seal.Status
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		ring, err = seal.StatusOf(tx)
		return err
	})
	return fmt.Sprintf("keyring of %d keys, under the root key %s\n", ring.Keys, strings.Join(ring.Roots, " and ")), err
}

// carryOut has the running server do something or, if there is none, does it.
func (s Sealing) carryOut(ctx context.Context, path, order string, do func(*store.DB, envelope.Root, seal.Config) (envelope.Root, error)) (string, error) {
	answer, err := knock(ctx, s.DataDir, path, strings.NewReader(order))
	if err == nil {
		defer answer.Close()
		return s.follow(answer)
	}
	if !errors.Is(err, errNobodyThere) {
		return "", err
	}
	var fingerprint string
	err = s.alone(ctx, func(db *store.DB) error {
		where := s.Seal.In(s.DataDir)
		if err := seal.Settle(ctx, where, db); err != nil {
			return err
		}
		root, err := seal.Open(ctx, where)
		if err != nil {
			return err
		}
		next, err := do(db, root, where)
		if err == nil {
			fingerprint = next.Fingerprint()
		}
		return err
	})
	return fingerprint, err
}

// alone opens the database of a directory that no server has. Servers of a
// PostgreSQL database that run elsewhere go on.
func (s Sealing) alone(ctx context.Context, do func(*store.DB) error) (err error) {
	cfg := store.Config{URL: s.DatabaseURL, NeedStandby: s.DatabaseStandby}
	if cfg.URL == "" {
		cfg.Path = databasePath(s.DataDir)
		if err := checkPrivate(cfg.Path); err != nil {
			return fmt.Errorf("there is no database to use: %w; if the data is in PostgreSQL, give --database-url", err)
		}
	}
	release, err := openDataDir(s.DataDir)
	if err != nil {
		return err
	}
	defer release()
	db, err := store.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(db)
}

// follow reads what a server tells of its work.
func (s Sealing) follow(answer io.Reader) (string, error) {
	lines := bufio.NewScanner(answer)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "done":
			return rest, nil
		case "failed":
			return "", errors.New(rest)
		}
		var done, all int
		if _, err := fmt.Sscanf(lines.Text(), "progress %d %d", &done, &all); err == nil && s.Progress != nil {
			s.Progress(done, all)
		}
	}
	return "", errors.Join(lines.Err(), errors.New("the server ended before it was done: azekura seal status tells how far it came"))
}

// othersHaveACopy says that other servers of the database have the root key in
// a file of their own. They could not open a key of the ring that is wrapped
// under a new one, and what it seals, before somebody has copied that to them:
// so the two are not changed in one go.
func othersHaveACopy(databaseURL string, where seal.Config) bool {
	return databaseURL != "" && (where.Kind == "" || where.Kind == seal.KindFile)
}

type rotation struct {
	NewKey bool
}

func (d *localDoor) rotateSeal(w http.ResponseWriter, r *http.Request) {
	var order rotation
	if err := json.NewDecoder(io.LimitReader(r.Body, 4<<10)).Decode(&order); err != nil {
		http.Error(w, "the order cannot be read", http.StatusBadRequest)
		return
	}
	d.reseal(w, r, func(progress func(done, all int), root envelope.Root) (envelope.Root, seal.Config, error) {
		where := d.server.sealSettings()
		if order.NewKey && othersHaveACopy(d.server.cfg.DatabaseURL, where) {
			return root, where, nil
		}
		next, err := seal.Rotate(r.Context(), where, d.server.db, root, progress)
		return next, where, err
	}, order.NewKey)
}

func (d *localDoor) migrateSeal(w http.ResponseWriter, r *http.Request) {
	var to seal.Config
	if err := json.NewDecoder(io.LimitReader(r.Body, 16<<10)).Decode(&to); err != nil {
		http.Error(w, "the order cannot be read", http.StatusBadRequest)
		return
	}
	to.Passphrase, to.Token, to.PIN = "", "", "" // these are never sent, and their absence reads ***
	d.reseal(w, r, func(progress func(done, all int), root envelope.Root) (envelope.Root, seal.Config, error) {
		to := to.In(d.dir)
		next, err := seal.Migrate(r.Context(), d.server.sealSettings(), to, d.server.db, root, progress)
		return next, to, err
	}, false)
}

// reseal has the keyring of a running server put under another root key, and
// tells how far it has come. Requests are served meanwhile.
func (d *localDoor) reseal(w http.ResponseWriter, r *http.Request, do func(func(done, all int), envelope.Root) (envelope.Root, seal.Config, error), newKey bool) {
	s := d.server
	root := s.root.Load()
	if root == nil {
		http.Error(w, errSealed.Error(), http.StatusServiceUnavailable)
		return
	}
	release, err := lock(d.dir) // so that no start takes a rotation under way for a broken one
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer release()
	out := &patientWriter{to: w, control: http.NewResponseController(w)}
	tell := func(format string, args ...any) {
		fmt.Fprintf(out, format+"\n", args...)
		out.control.Flush()
	}
	percent := -1
	progress := func(done, all int) {
		if now := done * 100 / all; now != percent {
			percent = now
			tell("progress %d %d", done, all)
		}
	}
	next, where, err := do(progress, *root)
	if err == nil {
		s.root.Store(&next)
		s.where.Store(&where)
		err = s.keyring.Unseal(r.Context(), next)
	}
	if err == nil && newKey {
		err = s.keyring.Add(r.Context())
	}
	if err != nil {
		d.log.Error("the keyring was not put under another root key", "error", err)
		tell("failed %s", strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	d.log.Info("the keyring is under another root key", "root_key", next.Fingerprint(), "seal", where.Kind)
	tell("done %s", next.Fingerprint())
}

func (d *localDoor) sealStatus(w http.ResponseWriter, r *http.Request) {
	s := d.server
	where := s.sealSettings()
	state := "unsealed"
	if s.sealed.Load() {
		state = "sealed: the root key cannot be reached, the log says why"
	}
	text, err := describeRing(r.Context(), s.db)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "the server is %s\nseal %s\n%s", state, where.Kind, text)
}

// sealSettings are those of the seal in use: of another one than the server was
// started with, after a migration.
func (s *Server) sealSettings() seal.Config {
	if where := s.where.Load(); where != nil {
		return *where
	}
	return s.cfg.Seal.In(s.cfg.DataDir)
}
