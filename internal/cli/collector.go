package cli

import (
	"os"
	"runtime"
	"runtime/debug"

	"parallax/internal/estimate"
)

// paceCollector gives back what starting has left behind, and has the garbage
// collector come by before new garbage is estimate.Garbage bytes. A CPU's buffers
// are in the Go heap and stay: at Go's usual pace garbage could grow until it is as
// much as they are, and a node that needs 4 GiB would take 8. To look through them
// costs nothing, as they hold no pointers. GOGC in the environment is obeyed.
func paceCollector() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetGCPercent(collectorPercent(m.HeapAlloc))
}

// collectorPercent is how much of the heap that is in use may be added to it
// before it is collected.
func collectorPercent(inUse uint64) int {
	return int(min(100, 1+100*estimate.Garbage/max(inUse, 1)))
}
