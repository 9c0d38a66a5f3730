package web

import (
	"net/http"
	"strings"
	"testing"
)

func TestHeadersOfEveryAnswer(t *testing.T) {
	_, url := serve(t, Options{Run: newFeed(), Ledger: newLedger(t)})
	for _, path := range []string{"/", "/assets/main.js", "/assets/page.css", "/assets/favicon.svg", "/api/state", "/api/runs", "/metrics", "/nothing"} {
		answer, err := http.Get(url + path)
		must(t, err)
		answer.Body.Close()
		policy := answer.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "script-src 'self'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if answer.Header.Get("X-Content-Type-Options") != "nosniff" || answer.Header.Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%s: headers %v", path, answer.Header)
		}
		if answer.Header.Get("Content-Type") == "" {
			t.Errorf("%s: no content type", path)
		}
	}
}

func TestMethodsAndPaths(t *testing.T) {
	_, url := serve(t, Options{Run: newFeed(), Ledger: newLedger(t)})
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/", 200}, {"HEAD", "/", 200}, {"HEAD", "/api/state", 200},
		{"POST", "/", 405}, {"PUT", "/api/state", 405}, {"DELETE", "/api/runs/x", 405}, {"POST", "/metrics", 405}, {"POST", "/nothing", 405}, {"OPTIONS", "/api/stream", 405},
		{"GET", "/nothing", 404}, {"GET", "/index.html", 404}, {"GET", "/assets/", 404}, {"GET", "/assets/lib", 404}, {"GET", "/assets/nothing.js", 404},
		{"GET", "/assets/lib/uplot/README.md", 404}, {"GET", "/api", 404}, {"GET", "/api/runs/unknown", 404},
		{"GET", "/assets/%2e%2e/server.go", 404}, {"GET", "/assets/..%2fserver.go", 404},
	} {
		r, err := http.NewRequest(c.method, url+c.path, nil)
		must(t, err)
		answer, err := http.DefaultTransport.RoundTrip(r)
		must(t, err)
		answer.Body.Close()
		if answer.StatusCode != c.want {
			t.Errorf("%s %s: %s, want %d", c.method, c.path, answer.Status, c.want)
		}
		if c.want == 405 && !strings.Contains(answer.Header.Get("Allow"), "GET") {
			t.Errorf("%s %s: Allow is %q", c.method, c.path, answer.Header.Get("Allow"))
		}
	}
}

// A web site whose name was made to mean 127.0.0.1 gets nothing.
func TestForeignNamesAreRefusedOnLoopback(t *testing.T) {
	_, url := serve(t, Options{Run: newFeed()})
	for host, want := range map[string]int{
		"localhost": 200, "localhost:8080": 200, "127.0.0.1:1": 200, "[::1]:80": 200,
		"example.org": 421, "example.org:8080": 421, "127.0.0.1.example.org": 421, "10.0.0.1": 421,
	} {
		r, err := http.NewRequest("GET", url+"/api/state", nil)
		must(t, err)
		r.Host = host
		answer, err := http.DefaultClient.Do(r)
		must(t, err)
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("host %s: %s, want %d", host, answer.Status, want)
		}
	}
}

func TestBrowsersKeepWhatHasNotChanged(t *testing.T) {
	_, url := serve(t, Options{Run: newFeed()})
	answer, err := http.Get(url + "/assets/main.js")
	must(t, err)
	answer.Body.Close()
	r, err := http.NewRequest("GET", url+"/assets/main.js", nil)
	must(t, err)
	r.Header.Set("If-None-Match", answer.Header.Get("ETag"))
	again, err := http.DefaultClient.Do(r)
	must(t, err)
	again.Body.Close()
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("%s with the tag %q", again.Status, answer.Header.Get("ETag"))
	}
}
