// An OpenID provider for tests, on loopback: `node provider.js DIRECTORY REDIRECT_URI` writes DIRECTORY/issuer once it answers. Whoever logs in is who
// they say, with any password: the subject is the login. Its keys are new at each start.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [directory, redirectUri] = process.argv.slice(2);

function key(type, options, alg) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: randomUUID() };
}

const client = (id, other) => ({ client_id: id, redirect_uris: [redirectUri], grant_types: ['authorization_code'], response_types: ['code'], ...other });

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      client('tocsin', { client_secret: 'a secret: with + and %' }),
      client('tocsin-public', { token_endpoint_auth_method: 'none', id_token_signed_response_alg: 'ES256' }),
    ],
    jwks: { keys: [key('rsa', { modulusLength: 2048 }, 'RS256'), key('ec', { namedCurve: 'P-256' }, 'ES256')] },
    // Not of public clients alone, as by default.
    pkce: { required: () => true },
    cookies: { keys: [randomUUID()] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  });
  server.on('request', provider.callback());
  writeFileSync(`${directory}/issuer.new`, issuer);
  renameSync(`${directory}/issuer.new`, `${directory}/issuer`);
});
