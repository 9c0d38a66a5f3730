package agent

import (
	"context"
	"time"
)

// waitAloud says now and then, until answered is called, that no coordinator is there.
func (a *agent) waitAloud() (answered func()) {
	ctx, answered := context.WithCancel(a.life)
	a.tasks.Go(func() {
		begun := time.Now()
		for next := 2 * time.Second; ; next = 30 * time.Second {
			select {
			case <-time.After(next):
				a.log.Warn("no coordinator answers yet: is it running, and is the address right?", "coordinator", a.o.Coordinator,
					"for", time.Since(begun).Round(time.Second), "patience", a.o.Patience)
			case <-ctx.Done():
				return
			}
		}
	})
	return answered
}
