package web

import (
	"log/slog"
	"math"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics serves the run's numbers, and this process's own, to Prometheus.
func (s *Server) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collector{s.status, s.o.Version},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(s.o.Log.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: 4,
	})
}

// A metric has the unit in its name. Counters count from the start of this
// process; gauges are of the last step, evaluation or view, and absent before it.
var (
	buildInfo  = metric("build_info", "The program; always 1.", "version")
	runInfo    = metric("run_info", "The run; always 1.", "run", "name", "spec_hash")
	parameters = metric("parameters", "Parameters of the model.")
	perToken   = metric("model_flops_per_token", "Model FLOPs of a token, forward and backward.")

	lastStep     = metric("step", "Steps applied.")
	plannedSteps = metric("planned_steps", "Steps of the whole run.")
	loss         = metric("loss_nats", "Training loss of the last step, nats per token.")
	validation   = metric("validation_loss_nats", "Validation loss of the last evaluation, nats per token.")
	gradNorm     = metric("grad_norm", "Global norm of the last step's gradient, before clipping.")
	learningRate = metric("learning_rate", "Learning rate of the last step.")
	stepSeconds  = metric("step_seconds", "Duration of the last step by part; the parts add up to the step.", "part")
	tokenRate    = metric("tokens_per_second", "Tokens per second in the last step.")
	flopRate     = metric("flops_per_second", "Model FLOPs per second in the last step.")

	linkBytes   = metric("link_bytes", "Bytes that a rank sent to the next one in the last step.", "rank")
	linkSend    = metric("link_send_seconds", "Time that the link from a rank to the next one took for them.", "rank")
	linkReceive = metric("link_receive_seconds", "Time that the next rank waited for tensors that had begun to come over that link, in the last step.", "rank")

	rankSeconds = metric("rank_seconds", "Time that a rank computed per micro-batch in the last step.", "rank", "node")

	steps        = metric("steps_total", "Steps made since the start of this process.")
	tokens       = metric("tokens_total", "Tokens trained on since the start of this process.")
	flops        = metric("flops_total", "Model FLOPs spent since the start of this process.")
	trainSeconds = metric("train_seconds_total", "Seconds of steps by part since the start of this process.", "part")
	wireBytes    = metric("wire_bytes_total", "Bytes that all ranks sent round the ring since the start of this process.")
	notices      = metric("notices_total", "Sentences told to the user since the start of this process.", "warning")

	members           = metric("members", "Nodes of the current view.")
	generation        = metric("generation", "Number of the current view.")
	slots             = metric("member_slots", "Micro-batches of a step that a member computes.", "node", "host", "device", "rank")
	peak              = metric("member_peak_flops_per_second", "FLOP/s of a member's device in matrix products, measured when it started.", "node", "hardware", "rank")
	checkpointStep    = metric("checkpoint_step", "Step of the last checkpoint.")
	checkpointSeconds = metric("checkpoint_seconds", "Time that the last checkpoint took.")
	checkpointBytes   = metric("checkpoint_bytes", "Size of the last checkpoint.")
	failedCheckpoints = metric("checkpoint_failures_total", "Checkpoints that could not be written, since the start of this process.")
	finished          = metric("finished", "1 once the run is over.")
)

// Of each layer, from the last look into it.
var (
	layerStep  = metric("layers_step", "Step of the last look into the layers.")
	correction = metric("layer_correction_ratio", "Size of the probe's correction beside the output of softmax attention.", "layer")
	stableRank = metric("layer_stable_rank", "Stable rank of a projection: squared Frobenius norm over squared spectral norm.", "layer", "matrix")
	entropy    = metric("layer_attention_entropy_nats", "Entropy of attention, mean over positions and heads.", "layer")
	firstToken = metric("layer_first_token_ratio", "Attention's weight on the first token, mean over positions and heads.", "layer")
)

func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("parallax_"+name, help, labels, nil)
}

// collector reads a status when Prometheus asks.
type collector struct {
	status  *status
	version string
}

// Describe sends nothing: which metrics there are depends on how far the run is.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	c.status.mu.Lock()
	t := c.status.totals // events are not changed once they are there
	c.status.mu.Unlock()
	send := emitter(out)
	send.gauge(buildInfo, 1, c.version)
	t.collectRun(send)
	t.collectStep(send)
	t.collectPaces(send)
	t.collectCounters(send)
	t.collectMembers(send)
	t.collectLayers(send)
}

func (t *totals) collectRun(send emitter) {
	over := 0.0
	if t.done != nil {
		over = 1
	}
	send.gauge(finished, over)
	if r := t.run; r != nil {
		send.gauge(runInfo, 1, r.RunId, r.Name, r.SpecHash)
		send.gauge(parameters, float64(r.Parameters))
		send.gauge(perToken, r.FlopsPerToken)
		send.gauge(plannedSteps, float64(r.Steps))
	}
	if e := t.eval; e != nil {
		send.gauge(validation, e.Loss)
	}
	if k := t.saved; k != nil {
		send.gauge(checkpointStep, float64(k.Step))
		send.gauge(checkpointSeconds, k.Seconds)
		send.gauge(checkpointBytes, float64(k.Bytes))
	}
}

func (t *totals) collectStep(send emitter) {
	s := t.step
	if s == nil {
		return
	}
	send.gauge(lastStep, float64(s.Step))
	send.gauge(loss, s.Loss)
	send.gauge(gradNorm, s.GradNorm)
	send.gauge(learningRate, s.LearningRate)
	send.gauge(tokenRate, s.TokensPerSecond)
	send.gauge(flopRate, s.FlopsPerSecond)
	splitOf(s).parts(func(name string, seconds float64) { send.gauge(stepSeconds, seconds, name) })
	for _, l := range s.Links {
		rank := strconv.Itoa(int(l.Rank))
		send.gauge(linkBytes, float64(l.Bytes), rank)
		send.gauge(linkSend, l.SendSeconds, rank)
		send.gauge(linkReceive, l.ReceiveSeconds, rank)
	}
}

// collectPaces names the ranks by the view, which the last step may be older than.
func (t *totals) collectPaces(send emitter) {
	if t.step == nil || t.view == nil || t.step.Generation != t.view.Generation || len(t.step.RankSeconds) != len(t.view.Members) {
		return
	}
	for rank, seconds := range t.step.RankSeconds {
		send.gauge(rankSeconds, seconds, strconv.Itoa(rank), t.view.Members[rank].NodeId)
	}
}

func (t *totals) collectCounters(send emitter) {
	send.counter(steps, float64(t.steps))
	send.counter(tokens, float64(t.tokens))
	send.counter(flops, float64(t.tokens)*t.run.GetFlopsPerToken())
	send.counter(wireBytes, float64(t.wire))
	t.seconds.parts(func(name string, seconds float64) { send.counter(trainSeconds, seconds, name) })
	send.counter(notices, float64(t.notices-t.warnings), "no")
	send.counter(notices, float64(t.warnings), "yes")
	send.counter(failedCheckpoints, float64(t.failedCheckpoints))
}

func (t *totals) collectMembers(send emitter) {
	v := t.view
	if v == nil {
		return
	}
	send.gauge(members, float64(len(v.Members)))
	send.gauge(generation, float64(v.Generation))
	for rank, m := range v.Members {
		send.gauge(slots, float64(len(m.Slots)), m.NodeId, m.Host, m.Device, strconv.Itoa(rank))
		if m.PeakFlops > 0 {
			send.gauge(peak, m.PeakFlops, m.NodeId, m.DeviceSummary, strconv.Itoa(rank))
		}
	}
}

// collectLayers leaves out what a layer does not have.
func (t *totals) collectLayers(send emitter) {
	if t.look == nil {
		return
	}
	send.gauge(layerStep, float64(t.look.Step))
	for i, l := range t.look.Layers {
		layer := strconv.Itoa(i)
		for _, q := range []struct {
			of     *prometheus.Desc
			value  float64
			labels []string
		}{
			{correction, l.Correction, []string{layer}},
			{stableRank, l.RankQ, []string{layer, "q"}},
			{stableRank, l.RankR, []string{layer, "r"}},
			{stableRank, l.RankK, []string{layer, "k"}},
			{entropy, l.Entropy, []string{layer}},
			{firstToken, l.FirstToken, []string{layer}},
		} {
			if !math.IsNaN(q.value) {
				send.gauge(q.of, q.value, q.labels...)
			}
		}
	}
}

type emitter chan<- prometheus.Metric

func (e emitter) gauge(d *prometheus.Desc, value float64, labels ...string) {
	e <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (e emitter) counter(d *prometheus.Desc, value float64, labels ...string) {
	e <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
}
