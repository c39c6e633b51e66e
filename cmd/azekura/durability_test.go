package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf16"

	"azekura/internal/server"
	"azekura/internal/server/servertest"
)

func start(t *testing.T, args ...string) *process {
	t.Helper()
	p, err := launch(t.TempDir(), os.Environ(), append([]string{"server", "--listen", "127.0.0.1:0"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

func administrator(t *testing.T, dir string) *servertest.Client {
	t.Helper()
	vars, err := server.ReadAdminEnv(dir)
	if err != nil {
		t.Fatal(err)
	}
	return servertest.NewClient(vars)
}

func mustDo(t *testing.T, c *servertest.Client, op string, in any) map[string]any {
	t.Helper()
	status, body, err := c.Do(t.Context(), op, in)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s: status %d, error %v, %v", op, status, err, body["__type"])
	}
	return body
}

// What lies on disk after a kill, the write-ahead log included, shows nobody a
// secret.
func TestNothingReadableOnDisk(t *testing.T) {
	const (
		text   = "a-planted-value-0123456789"
		second = "the-next-planted-value-987"
	)
	dir := filepath.Join(t.TempDir(), "data")
	p := start(t, "--data-dir", dir, "--log-level", "debug")
	admin := administrator(t, dir)
	binary := []byte("\x00\x01planted-binary-value\xff\xfe")
	mustDo(t, admin, "CreateSecret", map[string]any{"Name": "text", "SecretString": text})
	mustDo(t, admin, "CreateSecret", map[string]any{"Name": "binary", "SecretBinary": binary})
	mustDo(t, admin, "PutSecretValue", map[string]any{"SecretId": "text", "SecretString": second,
		"ClientRequestToken": "22222222-2222-2222-2222-222222222222"})
	if got := mustDo(t, admin, "GetSecretValue", map[string]any{"SecretId": "text"})["SecretString"]; got != second {
		t.Fatal("the value that was stored is not the value that came back")
	}
	p.kill()

	files := readDir(t, dir)
	if !bytes.Contains(slices.Concat(files["azekura.db"], files["azekura.db-wal"]), []byte(admin.Credentials.AccessKeyID)) {
		t.Error("the search does not even find what is not secret")
	}
	for name, content := range files {
		for _, planted := range []string{text, second, string(binary), admin.Credentials.Secret} {
			if name == "admin.env" && planted == admin.Credentials.Secret {
				continue // it is there for this
			}
			for form, needle := range forms(planted) {
				if bytes.Contains(content, needle) {
					t.Errorf("%s holds a secret, as %s", name, form)
				}
			}
		}
	}
	for _, planted := range []string{text, second, admin.Credentials.Secret} {
		if strings.Contains(p.stderr.String()+p.stdout.String(), planted) {
			t.Error("the server printed a secret")
		}
	}
}

func readDir(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files[entry.Name()], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// forms is how a secret could stand in a file: as it is, or in an encoding
// that hides it from nobody. Base64 depends on where in a group it starts.
func forms(secret string) map[string][]byte {
	var wide []byte
	for _, unit := range utf16.Encode([]rune(secret)) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	forms := map[string][]byte{
		"it is":         []byte(secret),
		"hex":           []byte(hex.EncodeToString([]byte(secret))),
		"HEX":           []byte(strings.ToUpper(hex.EncodeToString([]byte(secret)))),
		"little-endian": wide,
		"big-endian":    append([]byte{0}, wide[:len(wide)-1]...),
	}
	for shift := range 3 {
		whole := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat(" ", shift) + secret))
		forms["base64 at "+strconv.Itoa(shift)] = []byte(whole[4 : len(whole)-4])
	}
	return forms
}

// A request that is being sent when the server is told to stop gets its
// answer; a new connection is not taken.
func TestStopLetsRequestsInFlightFinish(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := start(t, "--data-dir", dir)
	admin := administrator(t, dir)
	admin.HTTP.Transport.(*http.Transport).ExpectContinueTimeout = 0

	r, err := admin.Request(t.Context(), "CreateSecret", map[string]string{"Name": "late", "SecretString": "x"})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	from, to := io.Pipe()
	r.Body, r.GetBody = from, nil
	r.Header.Set("Expect", "100-continue") // answered when the server waits for the body
	inFlight := make(chan struct{})
	trace := &httptrace.ClientTrace{Got100Continue: func() { close(inFlight) }}
	type answer struct {
		res *http.Response
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		res, err := admin.HTTP.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
		answered <- answer{res, err}
	}()
	select {
	case <-inFlight:
	case a := <-answered:
		t.Fatalf("answered before the body was sent: %v %v", a.res, a.err)
	}

	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	untilRefused(t, strings.TrimPrefix(p.url, "http://"))
	to.Write(body)
	to.Close()
	a := <-answered
	if a.err != nil {
		t.Fatal(a.err)
	}
	a.res.Body.Close()
	if a.res.StatusCode != http.StatusOK {
		t.Errorf("status %d, want 200", a.res.StatusCode)
	}
	if err := p.ended(); err != nil {
		t.Errorf("the server ended with %v: %s", err, p.stderr)
	}
}

func untilRefused(t *testing.T, address string) {
	t.Helper()
	for t.Context().Err() == nil {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		conn.Close()
	}
}

// The second signal does not wait for anybody.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := start(t, "--data-dir", dir, "--shutdown-grace", "1h", "--read-timeout", "1h")
	address := strings.TrimPrefix(p.url, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r, err := administrator(t, dir).Request(t.Context(), "ListSecrets", map[string]string{})
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Expect", "100-continue")
	head, err := httputil.DumpRequestOut(r, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(head); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, len("HTTP/1.1 100 Continue"))); err != nil {
		t.Fatal(err)
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	untilRefused(t, address)
	p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.ended(); err == nil {
		t.Error("the server waited for the request that never came")
	}
}

// A kill at any moment of the first start leaves what the next one completes.
func TestKilledFirstStart(t *testing.T) {
	finished := filepath.Join(t.TempDir(), "data")
	if err := start(t, "--data-dir", finished).stop(); err != nil {
		t.Fatal(err)
	}
	files := readDir(t, finished)
	for name, left := range map[string]map[string][]byte{
		"directory only":    {},
		"torn root key":     {"root-key.new": files["root-key"][:5]},
		"root key":          {"root-key": files["root-key"]},
		"empty database":    {"root-key": files["root-key"], "azekura.db": nil},
		"all but admin.env": {"root-key": files["root-key"], "azekura.db": files["azekura.db"]},
		"torn admin.env":    {"root-key": files["root-key"], "azekura.db": files["azekura.db"], "admin.env.new": []byte("AWS_ACC")},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			for file, content := range left {
				if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p := start(t, "--data-dir", dir)
			mustDo(t, administrator(t, dir), "ListSecrets", map[string]string{})
			if err := p.stop(); err != nil {
				t.Error(err)
			}
			for file := range readDir(t, dir) {
				if strings.HasSuffix(file, ".new") {
					t.Errorf("%s is still there", file)
				}
			}
		})
	}
}
