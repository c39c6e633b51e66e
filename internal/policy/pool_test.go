package policy

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

func TestPool(t *testing.T) {
	const text = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`
	var p Pool
	first, bytes := p.Compile(text, Identity, 100)
	if first == nil || bytes <= 100+int64(len(text)) {
		t.Fatal(first, bytes)
	}
	again, more := p.Compile(text, Identity, 0)
	if again != first || more >= bytes-100 {
		t.Errorf("the second time another document, or %d bytes", more)
	}
	if other, _ := p.Compile(text, Session, 0); other == nil || other == first {
		t.Error("of another kind the same document")
	}
	if broken, spent := p.Compile(`{`, Identity, 7); broken != nil || spent != 7 {
		t.Errorf("what cannot be read is %v, %d bytes", broken, spent)
	}
	runtime.KeepAlive(first)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 50 {
				p.Compile(fmt.Sprintf(`{"Version":"2012-10-17","Id":"%d","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, (n+i)%10), Identity, 0)
			}
		})
	}
	all.Wait()
	first, again = nil, nil
	for p.Len() > 0 { // until the collector has told that nobody holds them
		runtime.GC()
		runtime.Gosched()
	}
}
