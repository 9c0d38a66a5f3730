package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a headless Chromium with one page, driven over a pipe by its
// DevTools protocol.
type browser struct {
	t       *testing.T
	out     *os.File
	session string

	mu       sync.Mutex
	last     int
	waiting  map[int]chan answer
	problems []string // what the page's console and loader complained about
	requests []string // URLs that the page asked for
}

type answer struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// message is what Chromium sends: an answer, or an event.
type message struct {
	ID int
	answer
	Method string
	Params struct {
		Request struct{ URL string }
		Entry   struct{ Level, Text, URL string }
		Details struct {
			Text      string
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
	}
}

// startBrowser skips the test where there is no Chromium.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome-headless-shell"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium here to open the page with (on Debian: apt-get install chromium)")
	}
	in, ours := pipe(t)
	theirs, out := pipe(t)
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{theirs, ours}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	ours.Close()
	b := &browser{t: t, out: out, waiting: map[int]chan answer{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.read(in)
	}()
	t.Cleanup(func() {
		_ = b.out.Close() // Chromium ends with its pipe
		ended := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		ended.Stop()
		in.Close()
		<-read
	})
	b.attach()
	return b
}

func pipe(t *testing.T) (read, write *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return read, write
}

// attach connects to the one page.
func (b *browser) attach() {
	b.t.Helper()
	var targets struct {
		TargetInfos []struct{ TargetID, Type string }
	}
	b.call("Target.getTargets", nil, &targets)
	for _, target := range targets.TargetInfos {
		if target.Type == "page" {
			var attached struct{ SessionID string }
			b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
			b.session = attached.SessionID
		}
	}
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(domain+".enable", nil, nil)
	}
}

func (b *browser) read(in *os.File) {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(bytes.TrimSuffix(line, []byte{0}), &m) == nil {
			b.take(m)
		}
	}
}

func (b *browser) take(m message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch m.Method {
	case "":
		b.waiting[m.ID] <- m.answer
		delete(b.waiting, m.ID)
	case "Network.requestWillBeSent":
		b.requests = append(b.requests, m.Params.Request.URL)
	case "Log.entryAdded":
		if e := m.Params.Entry; e.Level == "error" {
			b.problems = append(b.problems, e.Text+" "+e.URL)
		}
	case "Runtime.exceptionThrown":
		b.problems = append(b.problems, m.Params.Details.Text+" "+m.Params.Details.Exception.Description)
	}
}

// call sends a command and reads its answer into a value.
func (b *browser) call(method string, params, into any) {
	b.t.Helper()
	b.mu.Lock()
	b.last++
	id, answered := b.last, make(chan answer, 1)
	b.waiting[id] = answered
	b.mu.Unlock()
	command := map[string]any{"id": id, "method": method, "params": params}
	if params == nil {
		command["params"] = struct{}{}
	}
	if b.session != "" {
		command["sessionId"] = b.session
	}
	text, err := json.Marshal(command)
	if err == nil {
		_, err = b.out.Write(append(text, 0))
	}
	if err != nil {
		b.t.Fatal(err)
	}
	select {
	case a := <-answered:
		if a.Error != nil {
			b.t.Fatalf("%s: %s", method, a.Error.Message)
		}
		if into != nil && json.Unmarshal(a.Result, into) != nil {
			b.t.Fatalf("%s answered %s", method, a.Result)
		}
	case <-time.After(30 * time.Second):
		b.t.Fatalf("Chromium does not answer %s", method)
	}
}

// eval evaluates JavaScript in the page, waiting for what it promises.
func (b *browser) eval(script string, into any) {
	b.t.Helper()
	var got struct {
		Result  struct{ Value json.RawMessage }
		Details *struct {
			Text      string
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
	}
	b.call("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &got)
	if got.Details != nil {
		b.t.Fatalf("%s: %s %s", script, got.Details.Text, got.Details.Exception.Description)
	}
	if err := json.Unmarshal(got.Result.Value, into); err != nil {
		b.t.Fatalf("%s gave %s: %v", script, got.Result.Value, err)
	}
}

// until waits until a JavaScript condition holds, and returns the text of an
// element then.
func (b *browser) until(condition, element string) string {
	b.t.Helper()
	var got struct {
		Held bool
		Text string
	}
	b.eval(fmt.Sprintf(`new Promise((resolve) => {
		const text = (id) => document.getElementById(id)?.textContent ?? "";
		const began = Date.now();
		const look = () => {
			const Held = Boolean(%s);
			if (Held || Date.now() - began > 20000) resolve({ Held, Text: text(%q) });
			else setTimeout(look, 20);
		};
		look();
	})`, condition, element), &got)
	if !got.Held {
		b.t.Fatalf("waited in vain for %s; %s is %q; problems: %v", condition, element, got.Text, b.complaints())
	}
	return got.Text
}

// complaints are what went wrong in the page.
func (b *browser) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.problems
}

// askedOthers are the page's requests to other hosts than its own.
func (b *browser) askedOthers(own string) (others []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, url := range b.requests {
		if !strings.HasPrefix(url, own) && url != "about:blank" {
			others = append(others, url)
		}
	}
	return others
}
