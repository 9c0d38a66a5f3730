package trust

import (
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRefusalsAreSummedUp: the first of its kind is told at once, repeats each minute,
// and after a minute without any it counts as new.
func TestRefusalsAreSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := refusals{log: slog.New(slog.NewTextHandler(&log, nil))}
		says := func(lines ...string) {
			t.Helper()
			synctest.Wait()
			r.mu.Lock() // as whoever writes to the log next does
			got := strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n")
			log.Reset()
			r.mu.Unlock()
			if len(got) != len(lines) {
				t.Fatalf("logged %q, want %d lines", got, len(lines))
			}
			for i, want := range lines {
				if !strings.Contains(got[i], want) {
					t.Errorf("logged %q, want %q", got[i], want)
				}
			}
		}
		from := func(host string, times int) {
			for port := range times {
				r.tell(&net.TCPAddr{IP: net.ParseIP(host), Port: 40000 + port}, visitor{what: "a node"}, "it shows no join token")
			}
		}
		from("10.0.0.1", 13)
		from("10.0.0.2", 2)
		from("10.0.0.3", 1)
		says(`msg="refused a node" from=10.0.0.1 because="it shows no join token"`, "from=10.0.0.2", "from=10.0.0.3")
		time.Sleep(summing)
		says(`msg="refused a node 12 more times in the last minute" from=10.0.0.1 because="it shows no join token"`,
			`msg="refused a node once more in the last minute" from=10.0.0.2`)
		from("10.0.0.1", 1)
		time.Sleep(summing)
		says(`once more in the last minute" from=10.0.0.1`)
		time.Sleep(summing)
		synctest.Wait()
		from("10.0.0.1", 1)
		says(`msg="refused a node" from=10.0.0.1`)
		time.Sleep(summing)
		synctest.Wait()
		for range 2 {
			r.tell(&net.TCPAddr{IP: net.ParseIP("10.0.0.1")}, visitor{"a request to follow the run", "for ann, signed by us"}, "it shows no join token")
		}
		time.Sleep(summing)
		says(`msg="refused a request to follow the run" from=10.0.0.1 certificate="for ann, signed by us" because="it shows no join token"`,
			`msg="refused a request to follow the run once more in the last minute" from=10.0.0.1 certificate="for ann, signed by us" because=`)
		time.Sleep(summing)
	})
}

// TestRefusalsAreBounded: a crowd of strangers fills neither memory nor log.
func TestRefusalsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := refusals{log: slog.New(slog.NewTextHandler(&log, nil))}
		for i := range 3 * maxTold {
			r.tell(&net.TCPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i))}, visitor{what: "a node"}, "x")
		}
		time.Sleep(summing)
		synctest.Wait()
		if n := strings.Count(log.String(), "\n"); n != maxTold+1 || !strings.Contains(log.String(), "refused 2048 others in the last minute") {
			t.Errorf("%d lines, the last of %q", n, log.String()[len(log.String())-200:])
		}
		if len(r.counts) > 0 {
			t.Errorf("%d are remembered", len(r.counts))
		}
	})
}
