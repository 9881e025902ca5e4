// The npm package oidc-provider as an issuer over TLS. Arguments: the path of the package,
// and a JSON file with the port, the certificate, the key, the signing keys, and the claims
// of each client.
import { createServer } from 'node:https'
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const [, , library, settings] = process.argv
const { Provider } = await import(pathToFileURL(library).href)
const { port, certificate, key, jwks, claims, issuer } = JSON.parse(readFileSync(settings))

const provider = new Provider(issuer, {
  jwks,
  clients: Object.keys(claims).map((name) => ({
    client_id: name,
    client_secret: 'secret-of-the-job',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  })),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (context, resource) => ({
        scope: '',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: jwks.keys[0].alg } },
      }),
    },
  },
  extraTokenClaims: (context, token) => claims[token.clientId],
})

const server = createServer(
  { cert: readFileSync(certificate), key: readFileSync(key) },
  provider.callback(),
)
server.listen(port, '127.0.0.1', () => {
  console.log(`listening on ${server.address().port}`)
})
