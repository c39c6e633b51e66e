// Package pagelock keeps memory out of swap: what holds keys is not written to
// a disk where it would stay.
package pagelock

import (
	"errors"
	"reflect"
	"unsafe"
)

// ErrForbidden says that the system does not let this process lock what it was
// asked to: RLIMIT_MEMLOCK is too low, and the process has not CAP_IPC_LOCK.
var ErrForbidden = errors.New("the system forbids it (RLIMIT_MEMLOCK)")

// Hold locks the memory that x points to, and all that is reached from there,
// for as long as the process lives: for keys, which are few and stay. It goes by
// the types of what it meets, so that it finds the schedule of a cipher inside of
// the standard library's types, too. Maps, channels and functions it passes by.
//
// It takes for granted that Go's collector does not move what is in the heap.
// Other things on the same pages are locked with it.
func Hold(x any) error {
	h := holder{seen: map[unsafe.Pointer]uintptr{}}
	h.value(reflect.ValueOf(x))
	return h.err
}

type holder struct {
	seen map[unsafe.Pointer]uintptr // sizes of what is locked
	err  error
}

func (h *holder) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && h.memory(v.UnsafePointer(), v.Type().Elem().Size()) {
			h.value(v.Elem())
		}
	case reflect.Interface:
		if !v.IsNil() {
			h.value(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			h.value(v.Field(i))
		}
	case reflect.Slice:
		if v.Len() > 0 && h.memory(v.UnsafePointer(), uintptr(v.Len())*v.Type().Elem().Size()) {
			h.elements(v)
		}
	case reflect.Array:
		h.elements(v)
	}
}

// elements looks into what may lead further.
func (h *holder) elements(v reflect.Value) {
	switch v.Type().Elem().Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Struct, reflect.Slice, reflect.Array:
		for i := range v.Len() {
			h.value(v.Index(i))
		}
	}
}

// memory locks size bytes, and says whether they are new.
func (h *holder) memory(at unsafe.Pointer, size uintptr) bool {
	if before, seen := h.seen[at]; seen && size <= before {
		return false
	}
	h.seen[at] = size
	if size > 0 {
		if err := lock(unsafe.Slice((*byte)(at), size)); err != nil && h.err == nil {
			h.err = err
		}
	}
	return true
}
