package seal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"azekura/internal/api"
	"azekura/internal/envelope"
)

// A Config says where the root key sleeps. The zero Config is a file. Each
// field but the first two is a setting, named in the errors of Check, of some
// kinds only.
type Config struct {
	Kind string // one of Kinds; empty is KindFile

	// Path is the file of a kind that keeps one, see In.
	Path string

	// Key names the key: its ARN (awskms), resource name (gcpkms), URL
	// (azurekeyvault), name (transit) or label (pkcs11).
	Key string

	// Endpoint is the URL at which the service is asked, if that does not
	// follow from Key. CAFile is a PEM file of certificates that it is trusted
	// by, besides those of the system.
	Endpoint, CAFile string

	// A passphrase, a token (transit) and a PIN (pkcs11) are each given here or
	// in a file, never both.
	PassphraseFile, TokenFile, PINFile string
	Passphrase, Token, PIN             api.Sensitive

	Mount string // of the transit engine; empty is transit

	// Module is the PKCS #11 library, Slot the label of the token in it, and
	// MakeKey lets Create make a key in it.
	Module, Slot string
	MakeKey      bool
}

// KindFile is a file with the root key itself.
const KindFile = "file"

// A kind is one place where a root key can sleep.
type kind struct {
	name  string
	file  string // what it keeps in the data directory; empty is nothing
	check func(Config) error
	open  func(context.Context, Config) (envelope.Root, error)

	// create, if set, makes what open does not find.
	create func(context.Context, Config) (envelope.Root, error)
}

// kinds is not a variable: nothing is to be registered from elsewhere.
func kinds() []kind {
	return []kind{
		{name: KindFile, file: "root-key", check: checkFile, open: here(File), create: here(CreateFile)},
		{name: KindPassphrase, file: "passphrase-parameters", check: checkPassphrase, open: openPassphrase},
		{name: KindPKCS11, check: checkPKCS11, open: openPKCS11, create: createPKCS11},
		{name: KindAWSKMS, check: checkAWSKMS, open: openAWSKMS},
		{name: KindGCPKMS, check: checkGCPKMS, open: openGCPKMS},
		{name: KindAzureKeyVault, check: checkAzureKeyVault, open: openAzureKeyVault},
		{name: KindTransit, check: checkTransit, open: openTransit},
	}
}

// ErrUnreachable says that the root key cannot be used now, but may be later
// without any change here: what keeps it could not be asked, or refused. The
// text around it says which, and what to do.
var ErrUnreachable = errors.New("the seal cannot be reached")

// ErrLocks says beside ErrUnreachable that the seal locks itself if it is asked
// the same again and again: that a PIN is wrong.
var ErrLocks = errors.New("do not ask again")

// Kinds lists what Config.Kind can be.
func Kinds() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

func (c Config) kind() (kind, error) {
	name := c.Kind
	if name == "" {
		name = KindFile
	}
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, fmt.Errorf("seal %q: it can be %s", c.Kind, strings.Join(Kinds(), ", "))
	}
	return all[i], nil
}

// In is c with the Path of the file that its kind keeps in the data directory
// dir, or none if the kind keeps no file.
func (c Config) In(dir string) Config {
	c.Path = ""
	if k, err := c.kind(); err == nil && k.file != "" {
		c.Path = filepath.Join(dir, k.file)
	}
	return c
}

// Check finds what is wrong with the settings, which its errors name. It asks
// nobody and reads no file; Path is not looked at.
func (c Config) Check() error {
	k, err := c.kind()
	if err != nil {
		return err
	}
	return k.check(c)
}

// Open opens a root key that is there. ErrNoRootKey says that there is none,
// ErrUnreachable that it cannot be used now.
func Open(ctx context.Context, c Config) (envelope.Root, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	k, _ := c.kind() // Check knows it
	return k.open(ctx, c)
}

// Create opens the root key of a first start, which it makes if the kind makes
// its own. It never takes the place of one that is there. The errors are as of
// Open.
func Create(ctx context.Context, c Config) (envelope.Root, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	k, _ := c.kind() // Check knows it
	if k.create == nil {
		return k.open(ctx, c)
	}
	return k.create(ctx, c)
}

func here(open func(string) (envelope.Root, error)) func(context.Context, Config) (envelope.Root, error) {
	return func(_ context.Context, c Config) (envelope.Root, error) { return open(c.Path) }
}

func checkFile(Config) error { return nil }
