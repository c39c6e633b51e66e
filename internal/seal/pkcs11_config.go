package seal

import "errors"

// KindPKCS11 is an AES key in a hardware security module, or in what speaks
// PKCS #11 for one. It takes a program that was built with the tag pkcs11.
const KindPKCS11 = "pkcs11"

func checkPKCS11(c Config) error {
	switch {
	case c.Module == "":
		return errors.New("seal-module: for pkcs11 it takes the file of the HSM's PKCS #11 library")
	case c.Slot == "":
		return errors.New("seal-slot: for pkcs11 it takes the label of the token that has the key")
	case c.Key == "":
		return errors.New("seal-key: for pkcs11 it takes the label of the key")
	}
	if err := oneSecret("seal-pin-file", c.PINFile, "AZEKURA_SEAL_PIN", c.PIN); err != nil {
		return err
	}
	return builtWithPKCS11
}
