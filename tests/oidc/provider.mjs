// A certified OpenID provider for tests: one client, any login accepted, keys made at start.
// What it is told comes as JSON in the environment: issuer, port, client_id, client_secret, redirect_uri.
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const told = JSON.parse(process.env.OIDC);
const { privateKey } = await generateKeyPair('RS256', { extractable: true });
const claims = (id) => ({
  sub: id,
  email: `${id}@people.example`,
  email_verified: !id.startsWith('unproven'),
  name: `${id} from elsewhere`,
});
const provider = new Provider(told.issuer, {
  clients: [{ client_id: told.client_id, client_secret: told.client_secret, redirect_uris: [told.redirect_uri] }],
  jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: 'first' }] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  pkce: { required: () => true },
  cookies: { keys: ['for tests alone'] },
  findAccount: (_, id) => ({ accountId: id, claims: () => claims(id) }),
});
provider.listen(told.port, '127.0.0.1', () => console.log('ready'));
