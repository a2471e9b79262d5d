//go:build !pkcs11

package vault

// OpenToken says that this program cannot speak to tokens: to do so it would
// need C code, and then a system to run on that has the same C library.
func OpenToken(Token) (Vault, error) { return nil, ErrWithoutPKCS11 }
