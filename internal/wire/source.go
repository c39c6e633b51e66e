package wire

import (
	"net/http"
	"net/netip"
	"strings"
)

// source is where a request came from, and whether it came over TLS from there.
//
// Each proxy appends the address it was asked by to X-Forwarded-For, so only
// the end of the list is known to be true: it is read from there, for as long
// as the addresses are those of proxies that are trusted. All before that is
// the sender's own text.
func (h *Handler) source(r *http.Request) (from netip.Addr, secure bool) {
	secure = r.TLS != nil
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, secure
	}
	from = peer.Addr().Unmap()
	if !h.trusts(from) {
		return from, secure
	}
	if proto := r.Header["X-Forwarded-Proto"]; len(proto) == 1 {
		secure = strings.EqualFold(proto[0], "https")
	}
	hops := strings.Join(r.Header["X-Forwarded-For"], ",")
	for hops != "" && h.trusts(from) {
		last := hops
		if i := strings.LastIndexByte(hops, ','); i >= 0 {
			hops, last = hops[:i], hops[i+1:]
		} else {
			hops = ""
		}
		next, ok := parseHop(last)
		if !ok {
			break
		}
		from = next
	}
	return from, secure
}

func (h *Handler) trusts(a netip.Addr) bool {
	for _, p := range h.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parseHop reads one address of X-Forwarded-For; some proxies add the port.
func parseHop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddrPort(text)
	return a.Addr().Unmap().WithZone(""), err == nil
}
