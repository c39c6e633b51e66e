package main

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
)

const keyConnections = 16

// keyed is a secret under a customer's key.
func keyed(n int) string { return fmt.Sprintf("bench/keyed-%07d", n) }

// keys compares reads of secrets under a customer's key with those of secrets
// under the default key, and encryption by KMS itself with the floor.
func (b *bench) keys() (section, error) {
	s := section{title: "KMS keys"}
	s.text = fmt.Sprintf(`GetSecretValue of %s secrets of 1 KiB under a customer's KMS key, against as many under the default key; and Encrypt and
Decrypt of 1 KiB with an encryption context, against the floor's GetSecretValue. %d connections.`, thousands(fewSecrets), keyConnections)
	ours, err := b.serve(b.cpus.server, filepath.Join(b.work, "keys"))
	if err != nil {
		return s, err
	}
	defer ours.kill()
	floor, err := b.startFloor()
	if err != nil {
		return s, err
	}
	defer floor.kill()
	key, err := ours.fillUnderKey(b)
	if err != nil {
		return s, err
	}
	pick := spread(fewSecrets, fewSecrets)
	b.say("GetSecretValue under a customer's key ...")
	results, err := b.takeTurns(ours.reads(keyConnections, pick), ours.readsOfKeyed(pick))
	if err != nil {
		return s, err
	}
	perSecond, cpu, p50, p99 := figures()
	t := s.table("under", "a customer's key", "the default key")
	t.compare("GetSecretValue", perSecond, results[1], results[0],
		s.atLeast("GetSecretValue under a customer's key: requests/s against the default key", results[1].over(results[0], perSecond), 0.95))
	for _, f := range []figure{cpu, p50, p99} {
		t.compare("GetSecretValue", f, results[1], results[0], nil)
	}
	if err := b.encryption(&s, ours, floor, key, pick); err != nil {
		return s, err
	}
	return s, ours.stop()
}

// encryption measures Encrypt and Decrypt.
func (b *bench) encryption(s *section, ours, floor *node, key string, pick func(int) []int) error {
	plaintext := base64.StdEncoding.EncodeToString([]byte(value1K))
	encrypt := fmt.Sprintf(`{"KeyId":%q,"Plaintext":%q,"EncryptionContext":{"app":"bench"}}`, key, plaintext)
	var sealed struct{ CiphertextBlob string }
	if err := ours.callKMS("Encrypt", encrypt, &sealed); err != nil {
		return err
	}
	decrypt := fmt.Sprintf(`{"CiphertextBlob":%q,"EncryptionContext":{"app":"bench"}}`, sealed.CiphertextBlob)
	b.say("Encrypt and Decrypt ...")
	results, err := b.takeTurns(ours.kms("Encrypt", encrypt), ours.kms("Decrypt", decrypt), floor.reads(keyConnections, pick))
	if err != nil {
		return err
	}
	perSecond, cpu, p50, p99 := figures()
	t := s.table("operation", "azekura", "floor")
	for i, op := range []string{"Encrypt", "Decrypt"} {
		t.compare(op, perSecond, results[i], results[2],
			s.atLeast(op+" of 1 KiB: requests/s against the floor", results[i].over(results[2], perSecond), 0.7))
		for _, f := range []figure{cpu, p50, p99} {
			t.compare(op, f, results[i], results[2], nil)
		}
		t.busy(results[i], results[2])
	}
	return nil
}

// fillUnderKey makes the secrets of both kinds, and reads each twice. It returns
// the id of the key.
func (t target) fillUnderKey(b *bench) (key string, err error) {
	var made struct{ KeyMetadata struct{ KeyId string } }
	if err := t.callKMS("CreateKey", "{}", &made); err != nil {
		return "", err
	}
	key = made.KeyMetadata.KeyId
	if err := t.fill(b, fewSecrets); err != nil {
		return "", err
	}
	err = t.each(b, fewSecrets, func(n int) ([]byte, error) {
		return t.request("CreateSecret", fmt.Sprintf(`{"Name":%q,"KmsKeyId":%q,"ClientRequestToken":"%032d","SecretString":%q}`, keyed(n), key, n, value1K))
	})
	if err != nil {
		return "", err
	}
	if err := t.warm(b, spread(fewSecrets, fewSecrets)(0)); err != nil {
		return "", err
	}
	return key, t.each(b, 2*fewSecrets, func(i int) ([]byte, error) { return t.readKeyed(i % fewSecrets) })
}

func (t target) readKeyed(n int) ([]byte, error) {
	return t.request("GetSecretValue", fmt.Sprintf(`{"SecretId":%q}`, keyed(n)))
}

// readsOfKeyed is reads of the secrets under the customer's key.
func (t target) readsOfKeyed(pick func(round int) []int) load {
	return t.repeated("GetSecretValue", keyConnections, len(value1K), func(round int) []string {
		var bodies []string
		for _, n := range pick(round) {
			bodies = append(bodies, fmt.Sprintf(`{"SecretId":%q}`, keyed(n)))
		}
		return bodies
	})
}

// kms is one request of KMS again and again.
func (t target) kms(op, body string) load {
	return load{target: t, connections: keyConnections, least: len(value1K), requests: func(int) (func(connection, n int) []byte, error) {
		request, err := t.requestOf("kms", "TrentService."+op, body)
		return func(int, int) []byte { return request }, err
	}}
}

// callKMS is call for an operation of KMS.
func (t target) callKMS(op, body string, out any) error {
	request, err := t.requestOf("kms", "TrentService."+op, body)
	if err != nil {
		return err
	}
	return t.ask(op, request, out)
}
