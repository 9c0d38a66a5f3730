package kernels

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// kinds is what backends have made known in their init functions: one T for each
// kind of device, which is the name before the colon in "cuda:0".
type kinds[T any] struct {
	mu     sync.Mutex
	byName map[string]T
}

// add makes a kind's T known; what is T in words.
func (k *kinds[T]) add(kind, what string, t T) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, twice := k.byName[kind]; twice {
		panic(fmt.Sprintf("kernels: %s %s registered twice", what, kind))
	}
	if k.byName == nil {
		k.byName = map[string]T{}
	}
	k.byName[kind] = t
}

func (k *kinds[T]) get(kind string) (t T, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t, known = k.byName[kind]
	return t, known
}

// names lists the kinds, sorted.
func (k *kinds[T]) names() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.byName))
}
