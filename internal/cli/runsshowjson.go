package cli

import (
	"errors"
	"io"
	"time"

	"parallax/internal/compare"
	"parallax/record"
)

// shownRank, shownLayer and shownEvent are what runs show --json says of a run's
// ranks, of the last look into its layers, and of its events.
type (
	shownRank struct {
		Generation uint64  `json:"generation"`
		Rank       int     `json:"rank"`
		Node       string  `json:"node"`
		Host       string  `json:"host"`
		Device     string  `json:"device"`
		Hardware   string  `json:"hardware"`
		Peak       float64 `json:"peak_flops"`
		Slots      int     `json:"slots"`
	}
	shownLayer struct {
		Layer      int   `json:"layer"`
		Step       int64 `json:"step"`
		Correction any   `json:"correction"`
		Entropy    any   `json:"entropy"`
		FirstToken any   `json:"first_token"`
		RankQ      any   `json:"rank_q"`
		RankR      any   `json:"rank_r"`
		RankK      any   `json:"rank_k"`
	}
	shownEvent struct {
		Time time.Time `json:"time"`
		Kind string    `json:"event"`
		Text string    `json:"text"`
	}
)

// showRunJSON writes a run as one object: what runs ls says of it, and its ranks,
// layers and events.
func showRunJSON(out io.Writer, l *record.Ledger, r record.Run) error {
	s, err := summarize(l, r)
	if err != nil {
		return err
	}
	ranks, err1 := l.Ranks(r.ID)
	layers, err2 := l.Layers(r.ID)
	events, err3 := l.Events(r.ID)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	shownRanks, shownLayers, shownEvents := []shownRank{}, []shownLayer{}, []shownEvent{}
	for _, k := range ranks {
		shownRanks = append(shownRanks, shownRank{k.Generation, k.Rank, k.Node, k.Host, k.Device, k.Hardware, k.Peak, k.Slots})
	}
	for _, d := range compare.LastLook(layers) {
		shownLayers = append(shownLayers, shownLayer{d.Layer, d.Step,
			jsonNumber(d.Correction), jsonNumber(d.Entropy), jsonNumber(d.FirstToken), jsonNumber(d.RankQ), jsonNumber(d.RankR), jsonNumber(d.RankK)})
	}
	for _, e := range events {
		shownEvents = append(shownEvents, shownEvent{e.Time, e.Kind, e.Text})
	}
	o := s.object()
	o["ranks"], o["layers"], o["events"] = shownRanks, shownLayers, shownEvents
	return encodeLine(out, o)
}

// finiteOrNone is x, or null where there is none or JSON has no such number.
func finiteOrNone(x *float64) any {
	if x == nil {
		return nil
	}
	return jsonNumber(*x)
}
