// The AWS SDK for JavaScript, talking to a local KMS as it would to AWS.
import https from 'node:https';
import * as aws from '@aws-sdk/client-kms';

/** The credentials of a principal of the local KMS as the SDK takes them. */
export function credentialsOf(principal) {
  return {
    accessKeyId: principal.access_key_id,
    secretAccessKey: principal.secret_access_key,
    ...(principal.session_token ? { sessionToken: principal.session_token } : {}),
  };
}

/**
 * A client of `kms`: a LocalKms, or {endpoint, hostName, region, ca} of one in another process. `principal`: whose
 * access key signs. The rest are options of the SDK, which win. It asks for KMS's own host name, and tries once.
 */
export function kmsClient(kms, principal, { ca = kms.authority?.pem ?? kms.ca, ...options } = {}) {
  const httpsAgent = new https.Agent({ ca, servername: kms.hostName, keepAlive: false });
  return new aws.KMSClient({
    region: kms.region ?? kms.store.region,
    endpoint: kms.endpoint,
    credentials: principal && credentialsOf(principal),
    maxAttempts: 1,
    requestHandler: { httpsAgent },
    ...options,
  });
}

/** Sends one command by its name: send(client, 'Decrypt', {...}). */
export const send = (client, name, input) => client.send(new aws[`${name}Command`](input));
