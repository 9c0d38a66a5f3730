// Package console shows a run to a person or a script: a live view on a
// terminal, one plain line per event elsewhere, or one JSON object per line.
//
// It is fed with the events that a coordinator streams (parallax.v1 RunEvent)
// and knows nothing else, so a simulated cluster, a submitted run and a
// coordinator's own output look the same. The commands in internal/cli choose
// the form with [New].
package console
