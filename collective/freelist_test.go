package collective_test

import (
	"sync"
	"testing"

	"parallax/collective"
)

func TestFreeList(t *testing.T) {
	var list collective.FreeList[int]
	var mu sync.Mutex
	made := 0
	fresh := func() *int {
		mu.Lock()
		defer mu.Unlock()
		made++
		return new(int)
	}
	a, b := list.Take(fresh), list.Take(fresh)
	if a == b || made != 2 {
		t.Fatalf("%d were made for two that are in use", made)
	}
	list.Put(a)
	list.Put(b)
	if list.Take(fresh) != b || list.Take(fresh) != a {
		t.Error("what was put does not come back, the last one first")
	}
	list.Put(a)
	list.Put(b)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				v := list.Take(fresh)
				*v++
				list.Put(v)
			}
		})
	}
	wg.Wait()
	if made > 2+8 {
		t.Errorf("%d were made where 8 are in use at most", made)
	}
}
