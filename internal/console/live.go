package console

import (
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	pb "parallax/proto/parallax/v1"
)

// live redraws a block of lines at the bottom of the terminal; events other than
// steps scroll by above it.
type live struct {
	out   *os.File
	color bool
	drawn int // lines of the block on the screen

	started *pb.RunStarted
	view    *pb.View
	step    *pb.StepSummary
	eval    *pb.EvalReport
	losses  trace
	steps   int     // that were told
	elapsed float64 // seconds in them
	tally   tally
}

func newLive(out *os.File) *live {
	return &live{out: out, color: os.Getenv("NO_COLOR") == ""}
}

func (l *live) Event(e *pb.RunEvent) {
	l.erase()
	l.remember(e)
	l.tally.add(e)
	if line := Sentence(e); line != "" {
		fmt.Fprintln(l.out, line)
	}
	if e.GetDone() == nil {
		l.draw()
	} else if sum := l.tally.sentence(); sum != "" {
		fmt.Fprintln(l.out, sum)
	}
}

func (l *live) Close() { l.drawn = 0 }

func (l *live) remember(e *pb.RunEvent) {
	switch k := e.GetKind().(type) {
	case *pb.RunEvent_Started:
		l.started = k.Started
	case *pb.RunEvent_View:
		l.view = k.View
	case *pb.RunEvent_Eval:
		l.eval = k.Eval
	case *pb.RunEvent_Step:
		l.step = k.Step
		l.losses.add(k.Step.Loss)
		l.steps++
		l.elapsed += k.Step.Seconds
	}
}

func (l *live) erase() {
	if l.drawn > 0 {
		fmt.Fprintf(l.out, "\x1b[%dA\x1b[J", l.drawn)
		l.drawn = 0
	}
}

func (l *live) draw() {
	width, _, err := term.GetSize(int(l.out.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	var b strings.Builder
	for _, line := range l.lines(width) {
		b.WriteString(cut(line, width-1))
		b.WriteByte('\n')
		l.drawn++
	}
	fmt.Fprint(l.out, b.String())
}

// lines is the block, in at most width columns.
func (l *live) lines(width int) []string {
	if l.step == nil {
		return nil
	}
	s := l.step
	block := []string{
		l.label("step") + l.progress(width),
		l.label("loss") + l.lossLine(width),
		l.label("rate") + count(s.TokensPerSecond, "tokens/s") + "   " + unit(s.FlopsPerSecond, "FLOP/s"),
		l.label("time") + fmt.Sprintf("ring %s   compute %s   wait %s   update %s   of %s a step", ringShare(s),
			share(s.ComputeSeconds, s.Seconds), share(s.WaitSeconds, s.Seconds), share(s.UpdateSeconds, s.Seconds), seconds(s.Seconds)),
	}
	if l.view != nil {
		block = append(block, l.label("ring")+l.members())
	}
	return block
}

func (l *live) progress(width int) string {
	s := l.step
	cells := max(10, min(30, width-60))
	full := 0
	if s.Steps > 0 {
		full = int(int64(cells) * s.Step / s.Steps)
	}
	left := l.elapsed / float64(l.steps) * float64(s.Steps-s.Step)
	return fmt.Sprintf("%d/%d %s%s  %s in steps, about %s to go", s.Step, s.Steps,
		strings.Repeat("█", full), strings.Repeat("░", cells-full), seconds(l.elapsed), seconds(left))
}

func (l *live) lossLine(width int) string {
	line := fmt.Sprintf("%.4f %s", l.step.Loss, sparkline(l.losses.values, max(10, min(40, width-50))))
	if l.eval != nil {
		line += fmt.Sprintf("  validation %.4f at step %d", l.eval.Loss, l.eval.Step)
	}
	return line
}

func (l *live) members() string {
	names := make([]string, len(l.view.Members))
	for i, m := range l.view.Members {
		names[i] = m.NodeId
	}
	return fmt.Sprintf("%s   generation %d", strings.Join(names, " → "), l.view.Generation)
}

func (l *live) label(name string) string {
	if l.color {
		return "\x1b[36m" + name + "\x1b[0m  "
	}
	return name + "  "
}

// cut shortens a line to width columns, not counting escape sequences.
func cut(line string, width int) string {
	columns, escaped := 0, false
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRuneInString(line[i:])
		switch {
		case r == '\x1b':
			escaped = true
		case escaped:
			escaped = r != 'm'
		case columns == width:
			return line[:i]
		default:
			columns++
		}
		i += size
	}
	return line
}
