package main

import (
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// A wheel is a downloaded botocore: a zip file with a JSON model a service.
type wheel struct {
	dir string
	zip *zip.ReadCloser
}

// downloadWheel has pip fetch a version of botocore to a temporary folder.
// Close removes it.
func downloadWheel(version string) (*wheel, error) {
	dir, err := os.MkdirTemp("", "gen-*")
	if err != nil {
		return nil, err
	}
	w := &wheel{dir: dir}
	if err := w.download(version); err != nil {
		w.close()
		return nil, fmt.Errorf("download botocore %s: %w", version, err)
	}
	return w, nil
}

func (w *wheel) download(version string) error {
	pip := exec.Command("pip", "download", "--quiet", "--no-deps", "-d", w.dir, "botocore=="+version)
	pip.Stderr = os.Stderr
	if err := pip.Run(); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(w.dir, "botocore-*.whl"))
	if err != nil {
		return err
	}
	if len(names) != 1 {
		return fmt.Errorf("got %d wheels, want 1", len(names))
	}
	w.zip, err = zip.OpenReader(names[0])
	return err
}

func (w *wheel) close() {
	if w.zip != nil {
		w.zip.Close()
	}
	os.RemoveAll(w.dir)
}

// model reads the service model of a folder such as kms/2014-11-01. Whether
// it is compressed differs between versions of botocore.
func (w *wheel) model(folder string) ([]byte, error) {
	name := "botocore/data/" + folder + "/service-2.json"
	f, err := w.zip.Open(name)
	if err == nil {
		defer f.Close()
		return io.ReadAll(f)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open model %s: %w", folder, err)
	}
	if f, err = w.zip.Open(name + ".gz"); err != nil {
		return nil, fmt.Errorf("open model %s: %w", folder, err)
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("unpack model %s: %w", folder, err)
	}
	return io.ReadAll(plain)
}
