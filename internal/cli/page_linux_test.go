package cli_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"parallax/record"
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
	b.until(`document.querySelector("#chart-ranks canvas") && text("ranks-legend").includes("node-2") && text("ranks-legend").includes("tokens/s")`, "ranks-legend")
	b.until(`document.querySelectorAll("#members li").length === 3 && text("members").includes("node-2")`, "members")
	b.until(`document.querySelector("#members b").getBoundingClientRect().width > 30`, "members")
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

// recordLongRun records a run of 10,000 steps on 8 ranks, with a spike of the loss
// in one step and looks into the layers.
func recordLongRun(t *testing.T, path string) (id string) {
	t.Helper()
	l, err := record.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	id = "20261123-194946-7f3a"
	at := time.Date(2026, 11, 23, 19, 49, 46, 0, time.UTC)
	errs := []error{l.StartRun(record.Run{ID: id, Name: "long", Started: at, Status: record.Running, Parameters: 1e6, FLOPsPerToken: 6e6})}
	for rank := range 8 {
		errs = append(errs, l.AppendRank(id, record.Rank{Generation: 1, Rank: rank, Node: fmt.Sprintf("gpu%02d", rank), Host: "h", Device: "cuda:0", Slots: 4}))
	}
	errs = append(errs, l.AppendEvent(id, record.Event{Sequence: 1, Time: at, Kind: "view", Text: "generation 1: 8 of 8 nodes are ready"}))
	for n := range int64(10000) {
		s := record.Step{Step: n + 1, Generation: 1, World: 8, Loss: 2 + 3*math.Exp(-float64(n)/2000), Tokens: 65536, Seconds: 0.5, Compute: 0.4, Reduce: 0.05,
			WireBytes: 1 << 25, Time: at.Add(time.Duration(n) * time.Second / 2)}
		if n == 5000 {
			s.Loss = 9
		}
		errs = append(errs, l.AppendStep(id, s))
		for rank := 0; n%10 == 9 && rank < 8; rank++ {
			errs = append(errs, l.AppendRate(id, record.Rate{Step: n + 1, Rank: rank, Generation: 1, Steps: 10, TokensPerSecond: 20000 - float64(rank),
				LinkBytes: 1 << 22, Send: 0.01 * float64(1+rank), Receive: 0.01, Time: s.Time}))
		}
		for layer := 0; n%100 == 99 && layer < 28; layer++ {
			errs = append(errs, l.AppendLayer(id, record.Layer{Step: n + 1, Layer: layer, Correction: 0.1 * float64(layer), RankQ: 20, RankR: 10, RankK: 8, Entropy: 3, FirstToken: 0.2, Time: s.Time}))
		}
	}
	if err := errors.Join(append(errs, l.Close())...); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestThePageOfALongRun opens 10,000 steps of 8 ranks: they are drawn, with their
// one spike, and the layers. How long the page took is only logged.
func TestThePageOfALongRun(t *testing.T) {
	b := startBrowser(t)
	p := newPlace(t)
	id := recordLongRun(t, p.path("ledger.db"))
	server := p.start("runs", "serve", "--ledger", p.path("ledger.db"), "--http", "127.0.0.1:0", "--page-file", p.path("page.url"))
	url := server.untilLine("recorded runs at ")
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	b.until(`performance.getEntriesByName("first chart").length`, "state")
	b.until(drawn, "chart-loss")
	b.until(`text("loss-hint").includes("range of each 8 steps") && text("f-step") === "10000"`, "loss-hint")
	b.until(`document.querySelectorAll("#layers canvas").length === 6 && text("layers-hint").includes("step 100 to 10000")`, "layers-hint")
	b.until(`document.querySelectorAll("#ring .node").length === 8`, "ring")
	b.until(`document.querySelector("#ring .rate").textContent === "52.4 MB/s to 419 MB/s"`, "ring")
	b.until(`text("ranks-legend").includes("slowest, now gpu07") && text("ranks-legend").includes("20.0 k tokens/s")`, "ranks-legend")
	b.eval(`document.querySelector("[data-of=links]").click(), true`, new(bool))
	b.until(`text("ranks-legend").includes("52.4 MB/s")`, "ranks-legend")
	var sent struct{ Spike, Bytes, Took float64 }
	b.eval(`(async () => {
		const began = performance.now(), text = await (await fetch("/api/runs/`+id+`")).text(), Took = performance.now() - began;
		return { Spike: Math.max(...JSON.parse(text).series.loss_high), Bytes: text.length, Took };
	})()`, &sent)
	if sent.Spike != 9 {
		t.Errorf("the highest loss on the page is %v, and was 9", sent.Spike)
	}
	var took struct{ First, Axis float64 }
	b.eval(`(async () => {
		const First = performance.getEntriesByName("first chart")[0].startTime, began = performance.now();
		document.querySelector("[data-axis=seconds]").click();
		await new Promise((resolve) => setTimeout(() => requestAnimationFrame(resolve), 100));
		return { First, Axis: performance.now() - began };
	})()`, &took)
	t.Logf("first chart %.0f ms after the address was entered, another axis after %.0f ms; the run is %.0f bytes, sent in %.0f ms",
		took.First, took.Axis, sent.Bytes, sent.Took)
	if problems := b.complaints(); len(problems) > 0 {
		t.Errorf("the browser complains: %v", problems)
	}
	server.signal(syscall.SIGINT)
	server.wait()
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
