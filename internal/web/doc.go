// Package web serves one page that shows a run while it trains, and recorded
// runs beside it. It only ever reads.
//
// The page is plain HTML, CSS and JavaScript modules, embedded from assets/, with
// uPlot for the charts; it asks no other host for anything, and a content security
// policy holds it to that. Behind it:
//
//	/              the page
//	/api/state     the run as it stands, and the number of its last event
//	/api/stream    what happens after that, as server-sent events (stream.go)
//	/api/runs      the recorded runs; /api/runs/ID one of them (api.go)
//	/metrics       the same numbers for Prometheus (metrics.go)
//
// A [Server] follows the run's events once, for itself, and keeps of them what a
// newcomer needs: the last of each kind, the last sentences, and a [series] of
// bounded length. So neither its memory nor the size of its answers grows with
// the run. Every stream follows the run on its own, at its reader's pace, and
// holds nobody up.
//
// Events are written in the same JSON, and with the same sentences, as those that
// internal/console prints. The coordinator's command wires the server up, see
// internal/cli.
package web
