package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A localDoor is a unix socket in the data directory through which the owner
// of that directory asks the running server for a backup, or to put its keyring
// under another root key. It opens nothing that its user could not open without
// it: the directory holds the root key or what opens it, and the
// administrator's credentials, only its owner can reach the socket, and what
// comes out of it is encrypted. Nothing else is offered. The server sends a
// backup instead of writing it to a path it is told, so nobody makes it write
// where it should not, and it needs no rights there.
type localDoor struct {
	dir      string
	server   *Server
	log      *slog.Logger
	http     *http.Server
	listener net.Listener
	one      chan struct{} // holds a token while something is done; others wait
}

func socketPath(dir string) string { return filepath.Join(dir, "azekura.sock") }

// openDoor is called by who has the directory's lock, so a socket that is there
// is one that a killed server has left, or that of another server of the same
// PostgreSQL database: then there is no door, and no error.
func openDoor(dir string, server *Server, log *slog.Logger) (*localDoor, error) {
	if err := removeScratch(dir); err != nil {
		return nil, err
	}
	if server.cfg.DatabaseURL != "" { // several servers of one database may share a directory
		if answer, err := knock(context.Background(), dir, "/seal/status", nil); !errors.Is(err, errNobodyThere) {
			if answer != nil {
				answer.Close()
			}
			log.Warn("another server of this data directory listens for its owner: this one does not", "data_dir", dir)
			return nil, nil
		}
	}
	path, folder, err := reachSocket(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	if err := os.Remove(socketPath(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listen for the owner of the data directory: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for the owner of the data directory: %w", err)
	}
	l.SetUnlinkOnClose(false) // path may be gone by then
	d := &localDoor{dir: dir, server: server, log: log, listener: ownersOnly{l, log}, one: make(chan struct{}, 1)}
	if err := os.Chmod(socketPath(dir), 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen for the owner of the data directory: %w", err)
	}
	d.http = &http.Server{
		Handler:           d,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second,
		MaxHeaderBytes:    4 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return d, nil
}

// reachSocket is how to name the socket. The kernel takes names of about 100
// bytes, and a longer path is named by way of an open directory.
func reachSocket(dir string) (string, *os.File, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return "", nil, fmt.Errorf("open the data directory: %w", err)
	}
	if path := socketPath(dir); len(path) < 100 {
		return path, folder, nil
	}
	return socketPath(fmt.Sprintf("/proc/self/fd/%d", folder.Fd())), folder, nil
}

func (d *localDoor) serve() error {
	if err := d.http.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listen for the owner of the data directory: %w", err)
	}
	return nil
}

// close ends what is being done and waits for its end.
func (d *localDoor) close() error {
	d.http.Close() // what it cuts is not worth an error
	d.listener.Close()
	d.one <- struct{}{}
	defer func() { <-d.one }()
	if err := os.Remove(socketPath(d.dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stop listening for backups: %w", err)
	}
	return nil
}

func (d *localDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	do := map[string]func(http.ResponseWriter, *http.Request){"/backup": d.backup, "/seal/rotate": d.rotateSeal, "/seal/migrate": d.migrateSeal, "/seal/status": d.sealStatus}[r.URL.Path]
	if r.Method != http.MethodPost || do == nil {
		http.NotFound(w, r)
		return
	}
	select {
	case d.one <- struct{}{}:
		defer func() { <-d.one }()
	case <-r.Context().Done():
		return
	}
	do(w, r)
}

func (d *localDoor) backup(w http.ResponseWriter, r *http.Request) {
	source, err := d.server.backupSource()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	began := time.Now()
	out := &patientWriter{to: w, control: http.NewResponseController(w)}
	if _, err := source.Write(r.Context(), out); err != nil {
		d.log.Error("no backup was made", "error", err)
		if out.written == 0 {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		panic(http.ErrAbortHandler) // so that the client sees a cut answer
	}
	d.log.Info("made a backup", "bytes", out.written, "took", time.Since(began))
}

// A patientWriter gives each piece of an answer a minute, and the whole as
// long as it takes.
type patientWriter struct {
	to      io.Writer
	control *http.ResponseController
	written int64
}

func (p *patientWriter) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, err
	}
	n, err := p.to.Write(b)
	p.written += int64(n)
	return n, err
}

// ownersOnly accepts connections from processes of this process's user, and of
// root, who could read the directory anyway. The modes of the directory and the
// socket say the same; this still holds when somebody has widened them.
type ownersOnly struct {
	*net.UnixListener
	log *slog.Logger
}

func (l ownersOnly) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if err := checkPeer(conn); err != nil {
			l.log.Warn("refused to talk to another user", "reason", err)
			conn.Close()
			continue
		}
		return conn, nil
	}
}

// errNobodyThere says that no server has the data directory.
var errNobodyThere = errors.New("no server is running")

// askForBackup asks the server that has dir for a backup. The caller closes
// the stream, of which the end says whether it is whole.
func askForBackup(ctx context.Context, dir string) (io.ReadCloser, error) {
	answer, err := knock(ctx, dir, "/backup", nil)
	why, refused := errors.AsType[refusal](err)
	switch {
	case refused:
		return nil, fmt.Errorf("the server made no backup: %s", string(why))
	case err != nil && !errors.Is(err, errNobodyThere):
		return nil, fmt.Errorf("ask the server for a backup: %w", err)
	}
	return answer, err
}

// knock asks the server that has dir for something. The caller closes the
// answer.
func knock(ctx context.Context, dir, path string, body io.Reader) (io.ReadCloser, error) {
	socket, folder, err := reachSocket(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://azekura"+path, body)
	if err != nil {
		return nil, err
	}
	answer, err := transport.RoundTrip(r)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, errNobodyThere
	}
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		text, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
		if err != nil {
			return nil, err
		}
		return nil, refusal(strings.TrimSpace(string(text)))
	}
	return answer.Body, nil
}

// A refusal is why a server does not do what it is asked for.
type refusal string

func (r refusal) Error() string { return "the server refused: " + string(r) }
