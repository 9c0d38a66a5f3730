package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	pb "parallax/proto/parallax/v1"
)

// linePrinter is a console.Printer for a command that makes several runs: it shows the
// run at hand in one line of a terminal, and warnings everywhere.
type linePrinter struct {
	title string
	out   io.Writer
	live  bool          // out is a terminal
	every time.Duration // where it is not, the time between lines; 0: none are printed
	drawn bool
	last  time.Time // when a line was printed
}

func newLinePrinter(title string, out *os.File) *linePrinter {
	return &linePrinter{title: title, out: out, live: term.IsTerminal(int(out.Fd()))}
}

func (p *linePrinter) Event(e *pb.RunEvent) {
	switch k := e.GetKind().(type) {
	case *pb.RunEvent_Step:
		p.step(k.Step, time.Unix(0, e.UnixNanos))
	case *pb.RunEvent_Notice:
		if k.Notice.Warning {
			p.erase()
			fmt.Fprintf(p.out, "%s: %s\n", p.title, k.Notice.Text)
		}
	}
}

func (p *linePrinter) step(s *pb.StepSummary, at time.Time) {
	line := fmt.Sprintf("%s: step %d of %d, loss %.4f", p.title, s.Step, s.Steps, s.Loss)
	if p.live {
		p.erase()
		fmt.Fprint(p.out, line)
		p.drawn = true
		return
	}
	if p.last.IsZero() {
		p.last = at
	}
	if p.every > 0 && at.Sub(p.last) >= p.every {
		fmt.Fprintln(p.out, line)
		p.last = at
	}
}

func (p *linePrinter) erase() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
}

func (p *linePrinter) Close() { p.erase() }
