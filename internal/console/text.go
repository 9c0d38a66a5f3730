package console

import (
	"fmt"
	"math"
	"strings"

	pb "parallax/proto/parallax/v1"
)

// unit writes a quantity with three digits and an SI prefix before its unit:
// "62.0 GFLOP/s".
func unit(x float64, name string) string {
	digits, prefix := scale(x)
	return digits + " " + prefix + name
}

// count is unit for things that have a name and no symbol: "41.2 k tokens/s".
func count(x float64, name string) string {
	digits, prefix := scale(x)
	if prefix != "" {
		digits += " " + prefix
	}
	return digits + " " + name
}

func scale(x float64) (digits, prefix string) {
	for _, p := range []struct {
		scale  float64
		prefix string
	}{{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(x) >= p.scale {
			return digits3(x / p.scale), p.prefix
		}
	}
	return digits3(x), ""
}

func digits3(x float64) string {
	switch a := math.Abs(x); {
	case a >= 100:
		return fmt.Sprintf("%.0f", x)
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.2f", x)
	}
}

func seconds(s float64) string {
	switch {
	case s < 10:
		return fmt.Sprintf("%.1f s", s)
	case s < 120:
		return fmt.Sprintf("%.0f s", s)
	case s < 2*3600:
		return fmt.Sprintf("%d min %02d s", int(s)/60, int(s)%60)
	default:
		return fmt.Sprintf("%d h %02d min", int(s)/3600, int(s)/60%60)
	}
}

// share is a part of a step in per cent.
func share(part, whole float64) string {
	if whole <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*part/whole)
}

// ringShare is the time that the ring costs: what nothing hid of it.
func ringShare(s *pb.StepSummary) string { return share(s.ReduceSeconds, s.Seconds) }

func stepLine(s *pb.StepSummary) string {
	return fmt.Sprintf("step %*d/%d  loss %.4f  %s  %s  ring %s  %s", len(fmt.Sprint(s.Steps)), s.Step, s.Steps, s.Loss,
		count(s.TokensPerSecond, "tokens/s"), unit(s.FlopsPerSecond, "FLOP/s"), ringShare(s), seconds(s.Seconds))
}

// Sentence is the sentence for everything but steps; empty for those.
func Sentence(e *pb.RunEvent) string {
	switch k := e.GetKind().(type) {
	case *pb.RunEvent_Started:
		s := k.Started
		return fmt.Sprintf("run %s  %s  %s", s.RunId, count(float64(s.Parameters), "parameters"), s.DataSummary)
	case *pb.RunEvent_View:
		return k.View.Reason
	case *pb.RunEvent_Eval:
		s := k.Eval
		return fmt.Sprintf("step %d  validation loss %.4f (perplexity %.2f over %s)", s.Step, s.Loss, math.Exp(s.Loss), count(float64(s.Tokens), "tokens"))
	case *pb.RunEvent_Diagnosis:
		return diagnosisLine(k.Diagnosis)
	case *pb.RunEvent_Checkpoint:
		s := k.Checkpoint
		if s.Error != "" {
			return fmt.Sprintf("step %d  checkpoint FAILED: %s", s.Step, s.Error)
		}
		return fmt.Sprintf("step %d  checkpoint %s (%s in %s)", s.Step, s.Path, unit(float64(s.Bytes), "B"), seconds(s.Seconds))
	case *pb.RunEvent_Notice:
		return noticeLine(k.Notice)
	case *pb.RunEvent_Done:
		return doneLine(k.Done)
	}
	return ""
}

// diagnosisLine tells the range over the layers of what they have.
func diagnosisLine(d *pb.Diagnosis) string {
	layers := fmt.Sprintf("%d layers", len(d.Layers))
	if len(d.Layers) == 1 {
		layers = "1 layer"
	}
	line := fmt.Sprintf("step %d  in %s:", d.Step, layers)
	for _, q := range []struct {
		format string
		of     func(*pb.LayerDiagnosis) float64
	}{
		{" correction %.3f to %.3f times softmax attention's output,", (*pb.LayerDiagnosis).GetCorrection},
		{" attention's entropy %.2f to %.2f nats,", (*pb.LayerDiagnosis).GetEntropy},
		{" its weight on the first token %.3f to %.3f,", (*pb.LayerDiagnosis).GetFirstToken},
		{" stable rank of W_Q %.1f to %.1f", (*pb.LayerDiagnosis).GetRankQ},
	} {
		low, high := math.Inf(1), math.Inf(-1)
		for _, l := range d.Layers {
			if x := q.of(l); !math.IsNaN(x) {
				low, high = min(low, x), max(high, x)
			}
		}
		if low <= high {
			line += fmt.Sprintf(q.format, low, high)
		}
	}
	return strings.TrimRight(line, ",:")
}

func noticeLine(n *pb.Notice) string {
	line := n.Text
	if n.NodeId != "" && !strings.Contains(line, n.NodeId) {
		line = n.NodeId + ": " + line
	}
	if n.Warning {
		line = "warning: " + line
	}
	return line
}

func doneLine(d *pb.Done) string {
	line := fmt.Sprintf("ended after step %d in %s", d.Step, seconds(d.Seconds))
	if d.Reason != "" {
		line += ": " + d.Reason
	}
	return line
}

// sparkline draws values in width cells, the newest at the right.
func sparkline(values []float64, width int) string {
	if len(values) == 0 || width <= 0 {
		return ""
	}
	cells := resample(values, width)
	lo, hi := cells[0], cells[0]
	for _, v := range cells {
		lo, hi = min(lo, v), max(hi, v)
	}
	const bars = "▁▂▃▄▅▆▇█"
	steps := []rune(bars)
	var b strings.Builder
	for _, v := range cells {
		i := 0
		if hi > lo {
			i = int((v - lo) / (hi - lo) * float64(len(steps)-1))
		}
		b.WriteRune(steps[max(0, min(i, len(steps)-1))])
	}
	return b.String()
}

// resample averages values down to at most width cells, leaving out what is no
// number.
func resample(values []float64, width int) []float64 {
	cells := make([]float64, 0, width)
	n := min(width, len(values))
	for c := range n {
		lo, hi := c*len(values)/n, (c+1)*len(values)/n
		sum, count := 0.0, 0
		for _, v := range values[lo:hi] {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				sum, count = sum+v, count+1
			}
		}
		if count > 0 {
			cells = append(cells, sum/float64(count))
		}
	}
	if len(cells) == 0 {
		return []float64{0}
	}
	return cells
}
