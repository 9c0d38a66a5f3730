package collective

import "sync"

// FreeList keeps what can be used again: as many as were ever in use at once. The
// zero value is empty.
type FreeList[T any] struct {
	mu   sync.Mutex
	free []*T
}

// Take returns what was put last, or what fresh makes.
func (l *FreeList[T]) Take(fresh func() *T) *T {
	if v := l.last(); v != nil {
		return v
	}
	return fresh()
}

func (l *FreeList[T]) last() *T {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.free)
	if n == 0 {
		return nil
	}
	v := l.free[n-1]
	l.free = l.free[:n-1]
	return v
}

// Put gives back what is used no more.
func (l *FreeList[T]) Put(v *T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free = append(l.free, v)
}
