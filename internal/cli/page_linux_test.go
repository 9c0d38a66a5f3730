package cli_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// pageURL is where a simulated cluster serves its page.
func (p place) pageURL() string {
	p.t.Helper()
	files, _ := filepath.Glob(p.path("runs/*/page.url"))
	if len(files) != 1 {
		p.t.Fatalf("no run has left the URL of its page: %s", p.files())
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// A person opens the page of a cluster that trains, sees the loss fall, and, when
// a node is killed, reads which one.
func TestThePageInABrowser(t *testing.T) {
	b := startBrowser(t)
	p := newPlace(t, "PARALLAX_FAILURE_TIMEOUT=2s")
	args := append([]string{"sim", "--nodes", "3", "--name", "watched"}, p.writeRun(100000, 0)...)
	sim := p.start(append(args, "--http", "127.0.0.1:0")...) // the last --http counts
	sim.untilStep(2)
	url := p.pageURL()
	b.call("Page.navigate", map[string]any{"url": url}, nil)

	first := b.until(`text("state") === "training" && Number(text("f-loss")) > 0`, "f-loss")
	step := b.until(`Number(text("f-step")) > 0`, "f-step")
	n, err := strconv.Atoi(step)
	if err != nil {
		t.Fatalf("the step is %q", step)
	}
	b.until(`Number(text("f-step")) >= `+strconv.Itoa(n+20)+` && Number(text("f-loss")) < `+first, "f-loss")
	b.until(`document.querySelectorAll("#ring .node").length === 3 && document.querySelectorAll("#ring .link").length === 3`, "ring")
	b.until(`document.querySelector("#ring .rate").textContent.endsWith("B/s")`, "ring")
	b.until(`document.querySelectorAll("#members li").length === 3 && text("members").includes("node-2")`, "members")
	b.until(`text("run").includes("watched") && text("sentence").startsWith("generation 1")`, "sentence")
	b.until(drawn, "chart-loss")

	var dark, light string
	b.eval(`getComputedStyle(document.documentElement).backgroundColor`, &light)
	b.eval(`document.getElementById("theme").click(), getComputedStyle(document.documentElement).backgroundColor`, &dark)
	if dark == light {
		t.Errorf("the theme's button leaves the background %s", light)
	}
	b.until(drawn, "chart-loss")

	sim.children()["node-1"].signal(syscall.SIGKILL)
	sentence := b.until(`text("sentence").includes("node-1")`, "sentence")
	sim.signal(syscall.SIGINT)
	sim.wait()
	if !sim.toldReason(sentence) {
		t.Errorf("the page says %q, but sim does not:\n%s", sentence, sim.said())
	}
	if others := b.askedOthers(url); len(others) > 0 {
		t.Errorf("the page asked other hosts: %v", others)
	}
	if problems := b.complaints(); len(problems) > 0 {
		t.Errorf("the browser complains: %v", problems)
	}
}

// toldReason is whether a sentence is, or ends with, a reason that the process told.
func (c *process) toldReason(sentence string) bool {
	for line := range strings.Lines(c.stdout.String()) {
		if e := parseEvent(c.t, []byte(line)); e.Reason != "" && strings.HasSuffix(sentence, e.Reason) {
			return true
		}
	}
	return false
}

// drawn is whether the chart of the loss has a line in its colour: some pixel of
// the canvas that is as blue as a grid never is.
const drawn = `(() => {
	const canvas = document.querySelector("#chart-loss canvas");
	if (!canvas) return false;
	const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
	for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200 && data[i + 2] - data[i] > 80) return true;
	return false;
})()`
