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
	visitor
	host, why string
	repeats   int // since it was logged last
}

// visitor is who or what is refused, in words.
type visitor struct {
	what        string // such as "a node"
	certificate string // that it shows: for whom, and signed by whom; "": none, or because says it
}

// maxTold bounds what strangers can make us remember, and log in a minute.
const maxTold = 1024

// summing is how long repeats are counted before they are told.
const summing = time.Minute

// tell logs that a visitor from an address is refused, or counts it.
func (r *refusals) tell(from net.Addr, v visitor, why string) {
	host, _, err := net.SplitHostPort(from.String())
	if err != nil {
		host = from.String()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := host + v.what + v.certificate + why
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
	known := &refused{visitor: v, host: host, why: why}
	r.counts[key] = known
	r.warn(known, "refused "+v.what)
}

// warn logs a message with what is known of who was refused.
func (r *refusals) warn(known *refused, message string) {
	about := []any{"from", known.host}
	if known.certificate != "" {
		about = append(about, "certificate", known.certificate)
	}
	r.log.Warn(message, append(about, "because", known.why)...)
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
		r.warn(known, fmt.Sprintf("refused %s %s in the last minute", known.what, times(known.repeats)))
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
