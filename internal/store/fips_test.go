package store_test

import (
	"crypto/fips140"
	"log/slog"
	"net"
	"strings"
	"testing"

	"azekura/internal/store"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A server that wants a password's MD5 is refused where Go allows no MD5: it
// would end the process. Elsewhere the password is sent.
func TestPasswordByMD5(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wantMD5(conn)
		}
	}()
	_, err = store.Open(t.Context(), store.Config{
		URL: "postgres://azekura:a-password@" + listener.Addr().String() + "/azekura?sslmode=disable", Log: slog.New(slog.DiscardHandler),
	})
	want := "not today"
	if fips140.Enforced() {
		want = "md5"
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want an error with %q", err, want)
	}
}

// wantMD5 is a PostgreSQL that asks for an MD5, and takes none.
func wantMD5(conn net.Conn) {
	defer conn.Close()
	backend := pgproto3.NewBackend(conn, conn)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return
	}
	backend.Send(&pgproto3.AuthenticationMD5Password{Salt: [4]byte{1, 2, 3, 4}})
	if backend.Flush() != nil || backend.SetAuthType(pgproto3.AuthTypeMD5Password) != nil {
		return
	}
	if _, err := backend.Receive(); err != nil {
		return
	}
	backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: "not today"})
	backend.Flush()
}
