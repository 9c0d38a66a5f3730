// Package pause waits before something is tried again.
package pause

import (
	"context"
	"time"
)

// For waits, and reports false when ctx ends first.
func For(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
