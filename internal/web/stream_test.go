package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// reader is one page that follows the run.
type reader struct {
	t      *testing.T
	answer *http.Response
	lines  *bufio.Scanner
}

func follow(t *testing.T, url, lastEventID string) *reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/api/stream", nil)
	must(t, err)
	if lastEventID != "" {
		r.Header.Set("Last-Event-ID", lastEventID)
	}
	answer, err := http.DefaultClient.Do(r)
	must(t, err)
	t.Cleanup(func() { answer.Body.Close() })
	return &reader{t, answer, bufio.NewScanner(answer.Body)}
}

// sent is one event of a stream; all empty at its end.
type sent struct{ id, event, data string }

func (r *reader) next() sent {
	var s sent
	for r.lines.Scan() {
		name, value, _ := strings.Cut(r.lines.Text(), ": ")
		switch {
		case name == "" && s != sent{}:
			return s
		case name == "id":
			s.id = value
		case name == "event":
			s.event = value
		case name == "data":
			s.data = value
		}
	}
	return s
}

// want reads events until the one of a sequence number, and checks that none is
// left out.
func (r *reader) want(server *Server, from, to int64) {
	r.t.Helper()
	for n := from; n <= to; n++ {
		var e struct{ Sequence int64 }
		s := r.next()
		if s.id != server.cursor(n) || json.Unmarshal([]byte(s.data), &e) != nil || e.Sequence != n {
			r.t.Fatalf("want event %d, got %+v", n, s)
		}
	}
}

func TestStreamResumesBehindTheLastEvent(t *testing.T) {
	run := newFeed()
	s, url := serve(t, Options{Run: run})
	run.add(started(), view(), step(1))
	first := follow(t, url, "")
	if kind := first.answer.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("content type %q", kind)
	}
	first.want(s, 1, 3)
	run.add(step(2))
	first.want(s, 4, 4)
	first.answer.Body.Close()
	run.add(step(3), eval(3))
	second := follow(t, url, s.cursor(4))
	second.want(s, 5, 6)
	run.add(done())
	second.want(s, 7, 7)
	run.end()
	if left := second.next(); left != (sent{}) {
		t.Errorf("after the end of the run: %+v", left)
	}
}

func TestStreamOfAnotherProcessIsReset(t *testing.T) {
	run := newFeed()
	_, url := serve(t, Options{Run: run})
	run.add(started())
	r := follow(t, url, "another-1")
	if s := r.next(); s.event != "reset" {
		t.Errorf("got %+v", s)
	}
	if s := r.next(); s != (sent{}) {
		t.Errorf("after the reset: %+v", s)
	}
}

func TestStreamRefusesWhatIsNoCursor(t *testing.T) {
	s, url := serve(t, Options{Run: newFeed()})
	for _, cursor := range []string{"x", "1", "-1", s.boot + "-", s.boot + "--1", s.boot + "-1x", s.boot + "-99999999999999999999", strings.Repeat("a", 100) + "-1"} {
		if code, body := get(t, url+"/api/stream?after="+cursor); code != 400 || !strings.Contains(body, "resumes behind an event id") {
			t.Errorf("%s: %d %s", cursor, code, body)
		}
	}
}

func TestStreamsAreLimited(t *testing.T) {
	run := newFeed()
	s, url := serve(t, Options{Run: run})
	run.add(started())
	for range maxStreams {
		s.streams <- struct{}{}
	}
	answer, err := http.Get(url + "/api/stream")
	must(t, err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("%s, %v", answer.Status, answer.Header)
	}
	s.streams.leave()
	follow(t, url, "").want(s, 1, 1)
}

// A reader who takes nothing holds up neither the run nor other readers, and
// nothing piles up for him.
func TestASlowReaderHoldsNobodyUp(t *testing.T) {
	run := newFeed()
	s, url := serve(t, Options{Run: run})
	slow, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	must(t, err)
	defer slow.Close()
	fmt.Fprintf(slow, "GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
	const n = 3000
	text := strings.Repeat("a long sentence ", 256)
	for range n {
		run.add(notice("a", text, false)) // 12 MB in all, more than a socket holds
	}
	s.await(t, n)
	follow(t, url, s.cursor(n-10)).want(s, n-9, n)
}

// Readers of a run that is over get its last event, however soon Close comes.
func TestCloseDeliversTheLastEvent(t *testing.T) {
	run := newFeed()
	s, url := serve(t, Options{Run: run})
	run.add(started())
	r := follow(t, url, "")
	r.want(s, 1, 1)
	run.add(done())
	run.end()
	s.Close()
	r.want(s, 2, 2)
}

// Close ends streams that would go on for ever.
func TestCloseEndsStreams(t *testing.T) {
	run := newFeed()
	s, url := serve(t, Options{Run: run})
	run.add(started())
	r := follow(t, url, "")
	r.want(s, 1, 1)
	s.Close()
	if left := r.next(); left != (sent{}) {
		t.Errorf("got %+v", left)
	}
}
