package gossip

import (
	"fmt"
	"sync"
)

// maxMembers bounds what a stranger can make us remember.
const maxMembers = 4096

// roster is the set of names that memberlist holds to be alive.
type roster struct {
	mu    sync.Mutex
	names map[string]bool
}

func (r *roster) add(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names == nil {
		r.names = make(map[string]bool)
	}
	r.names[name] = true
}

func (r *roster) remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.names, name)
}

// admit reports whether there is room for name.
func (r *roster) admit(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.names) >= maxMembers && !r.names[name] {
		return fmt.Errorf("the cluster has %d members already, the most it may have", maxMembers)
	}
	return nil
}
