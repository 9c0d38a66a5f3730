package simnet

import "time"

func now() time.Time { return time.Now() }

// waitUntil waits for a change, or until a time that has not come yet. The caller
// holds the lock, and looks again.
func (n *Network) waitUntil(due time.Time) {
	if d := due.Sub(now()); !due.IsZero() && d > 0 {
		defer time.AfterFunc(d, n.wake).Stop()
	}
	n.changed.Wait()
}

// wake has everybody look again. The lock keeps it from coming between a look and
// the wait that follows.
func (n *Network) wake() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changed.Broadcast()
}
