package sim

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// story is what happened, a line each, with the time since the beginning.
type story struct {
	began time.Time
	mu    sync.Mutex
	text  strings.Builder
}

func (s *story) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.text, "%10.3f ms  %s\n", float64(time.Since(s.began).Microseconds())/1000, fmt.Sprintf(format, args...))
}

func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
