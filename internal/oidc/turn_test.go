package oidc

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Whatever an issuer's answer does to its reader, the next caller has its turn.
func TestAPanicGivesTheTurnBack(t *testing.T) {
	is := &issuer{url: "https://issuer.example.com", turn: make(chan struct{}, 1)}
	client := &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { panic("planted") })}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("nothing panicked")
			}
		}()
		is.keysInTurn(t.Context(), client, jose.Header{KeyID: "k"}, time.Unix(1_800_000_000, 0))
	}()
	if len(is.turn) != 0 {
		t.Error("the turn is taken for ever")
	}
}
