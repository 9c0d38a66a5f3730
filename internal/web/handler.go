package web

import (
	"net"
	"net/http"
)

// policy lets the page load what this server serves, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler answers every request. It takes GET and HEAD alone.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", page)
	mux.HandleFunc("GET /assets/{file...}", asset)
	mux.HandleFunc("GET /api/state", s.getState)
	mux.HandleFunc("GET /api/stream", s.getStream)
	mux.HandleFunc("GET /api/runs", s.getRuns)
	mux.HandleFunc("GET /api/runs/{id}", s.getRun)
	mux.Handle("GET /metrics", s.metrics())
	mux.HandleFunc("/", notFound)
	return guard(mux)
}

func notFound(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this server only answers GET: it shows a run and changes nothing", http.StatusMethodNotAllowed)
		return
	}
	http.Error(w, "there is nothing here; the page is at /", http.StatusNotFound)
}

// guard sets the headers that keep the page to itself, and refuses requests that
// came to loopback under a foreign name: a web site whose name resolves to
// 127.0.0.1 could read the answers otherwise.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache")
		if cameToLoopback(r) && !isLoopback(hostName(r.Host)) {
			http.Error(w, "this address is served under the names localhost and 127.0.0.1 only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func cameToLoopback(r *http.Request) bool {
	address, known := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return known && isLoopback(hostName(address.String()))
}

// hostName is HOST of HOST:PORT, or all of it where there is no port.
func hostName(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
