package agent

import (
	"errors"
	"testing"

	"parallax/collective"
)

// Who loses a neighbour says how all links can be looked at; nothing else is about links.
func TestLostNeighbourInWords(t *testing.T) {
	lost := &collective.Error{Rank: 1, Name: "gpu07", Peer: 0, PeerName: "gpu06", PeerAddress: "10.0.0.6:7001", Cause: errors.New("stream broken")}
	gaveUp := &collective.Error{Rank: 1, Name: "gpu07", Peer: -1, Cause: errors.New("halted")}
	for _, test := range []struct {
		cause error
		want  string
	}{
		{lost, "rank 1 (gpu07) lost rank 0 (gpu06 at 10.0.0.6:7001) before the first collective: stream broken; try: parallax doctor --coordinator 10.0.0.1:7070"},
		{gaveUp, "rank 1 (gpu07) gave up before the first collective: halted"},
		{errHalted, errHalted.Error()},
	} {
		if got := inWords(test.cause, "10.0.0.1:7070"); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}
