package collective_test

import (
	"testing"
	"testing/synctest"
	"time"

	"parallax/collective"
	"parallax/collective/mem"
)

// TestLinkTimes: a link that takes long shows at the rank that sends over it and
// at the one that waits behind it.
func TestLinkTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = timeout / 4
		comms := newRing(t, 3, watched, mem.Fault{Kind: mem.Delay, Rank: 1, Step: at.Step, Phase: collective.AllGather, Bucket: at.Bucket, Delay: delay})
		must(t, comms, func(c *collective.Comm) error { return stages()[0].call(t.Context(), c) })
		if sending := comms[1].Stats().Sending; sending != delay {
			t.Errorf("the rank before the slow link sent for %v, want %v", sending, delay)
		}
		if receiving := comms[2].Stats().Receiving; receiving < delay*9/10 || receiving > 2*time.Second {
			t.Errorf("the rank behind it waited for %v, want %v", receiving, delay)
		}
	})
}
