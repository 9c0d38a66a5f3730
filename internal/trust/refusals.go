package trust

import (
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"
)

// refusals logs whom we refuse, to whoever looks after this process. Who is refused
// tries again, so that repeats are counted and told each minute.
type refusals struct {
	log *slog.Logger

	mu     sync.Mutex
	counts map[string]*refused // by what is logged of it
	others int                 // of hosts and reasons beyond maxTold
}

// refused is one host's refusals for one reason.
type refused struct {
	host, what, why string
	repeats         int // since it was logged last
}

// maxTold bounds what strangers can make us remember, and log in a minute.
const maxTold = 1024

// summing is how long repeats are counted before they are told.
const summing = time.Minute

// tell logs that what has come from an address is refused, or counts it.
func (r *refusals) tell(from net.Addr, what, why string) {
	host, _, err := net.SplitHostPort(from.String())
	if err != nil {
		host = from.String()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := host + what + why
	switch known := r.counts[key]; {
	case known != nil:
		known.repeats++
		return
	case len(r.counts) >= maxTold:
		r.others++
		return
	}
	if len(r.counts) == 0 {
		r.counts = make(map[string]*refused)
		time.AfterFunc(summing, r.sumUp)
	}
	r.counts[key] = &refused{host: host, what: what, why: why}
	r.log.Warn("refused "+what, "from", host, "because", why)
}

// sumUp tells what was counted, forgets who did not come again, and comes again itself
// while there is somebody to count.
func (r *refusals) sumUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(r.counts)) {
		known := r.counts[key]
		if known.repeats == 0 {
			delete(r.counts, key)
			continue
		}
		r.log.Warn(fmt.Sprintf("refused %s %s in the last minute", known.what, times(known.repeats)), "from", known.host, "because", known.why)
		known.repeats = 0
	}
	if r.others > 0 {
		r.log.Warn(fmt.Sprintf("refused %d others in the last minute", r.others))
		r.others = 0
	}
	if len(r.counts) > 0 {
		time.AfterFunc(summing, r.sumUp)
	}
}

func times(n int) string {
	if n == 1 {
		return "once more"
	}
	return fmt.Sprintf("%d more times", n)
}
