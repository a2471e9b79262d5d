// Apache with mod_auth_openidc, as a hospital has it before an application that
// knows nothing of sign-ins: it lets in whom we signed in, and tells the
// application who that is.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { folder, launch, patience, within } from "./harness.mjs";

// modules is where Debian has them, ours too.
const modules = "/usr/lib/apache2/modules";

// The page shows what the application behind Apache would be told.
const page = `<!doctype html><html lang="en"><head><title>Ward list</title></head><body><h1>Ward list</h1>
<p id="user"><!--#echo var="REMOTE_USER" --></p>
<p id="name"><!--#echo var="OIDC_CLAIM_name" --></p>
<p id="role"><!--#echo var="OIDC_CLAIM_selected_roleid" --></p></body></html>
`;

const configuration = ({ at, home, issuer, client, secret }) => `
ServerRoot ${at}
PidFile ${at}/pid
ErrorLog ${at}/log
LogLevel warn auth_openidc:debug
ServerName localhost
Listen 127.0.0.1:${new URL(home).port}
Listen [::1]:${new URL(home).port}
Mutex file:${at}
${["mpm_event", "authn_core", "authz_core", "authz_user", "dir", "include", "auth_openidc"]
    .map((name) => `LoadModule ${name}_module ${modules}/mod_${name}.so`).join("\n")}
${process.getuid() === 0 ? "User www-data\nGroup www-data" : ""}
DocumentRoot ${at}/htdocs
DirectoryIndex index.html
<Directory ${at}/htdocs>
  Options +Includes
  SetOutputFilter INCLUDES
  ForceType text/html
</Directory>
# This much and no more is needed of an application.
OIDCProviderMetadataURL ${issuer}/.well-known/openid-configuration
OIDCClientID ${client}
OIDCClientSecret ${secret}
OIDCRedirectURI ${home}/protected/redirect_uri
OIDCCryptoPassphrase ${crypto.randomUUID()}
OIDCScope "openid profile selectedrole"
OIDCPKCEMethod S256
OIDCRemoteUserClaim sub
# What tests look at. Only the first of the two asks us about every request.
OIDCInfoHook access_token refresh_token id_token remote_user
<Location /protected>
  AuthType openid-connect
  Require valid-user
  OIDCRefreshAccessTokenBeforeExpiry 3600 logout_on_error
</Location>
<Location /quiet>
  AuthType openid-connect
  Require valid-user
</Location>
`;

// Apache is a server of our own. home is where it will be, a folder with a
// page that is open and two that are protected.
export class Apache {
  constructor(home) {
    this.home = home;
    this.protected = `${home}/protected/`;
    this.quiet = `${home}/quiet/`;
    this.at = folder();
    chmodSync(this.at, 0o755); // as root it works as another user
    for (const name of ["", "protected", "quiet"]) {
      mkdirSync(join(this.at, "htdocs", name), { recursive: true });
      writeFileSync(join(this.at, "htdocs", name, "index.html"), page);
    }
  }

  // start starts it as the application called client of an issuer. One process
  // is all it is, so nothing can be left of it.
  async start(issuer, client, secret) {
    assert.ok(existsSync(`${modules}/mod_auth_openidc.so`), "mod_auth_openidc is not installed: `make test` installs it");
    const file = join(this.at, "apache2.conf");
    writeFileSync(file, configuration({ at: this.at, home: this.home, issuer, client, secret }));
    const { child, ended } = launch("/usr/sbin/apache2", ["-X", "-f", file]);
    this.stop = async () => {
      child.kill("SIGTERM");
      await within(ended, "the end of Apache");
    };
    const gone = ended.then(({ err }) => assert.fail(`Apache ended: ${err}`));
    await within(Promise.race([this.#answers(), gone]), "the start of Apache");
  }

  async #answers() {
    for (;;) {
      try {
        return await fetch(this.home, { signal: AbortSignal.timeout(patience) });
      } catch {
        await new Promise((soon) => setTimeout(soon, 20));
      }
    }
  }
}
