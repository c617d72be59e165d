// A stand-in for the instance metadata service (IMDSv2): gives out the credentials of a role to whoever has
// fetched a session token first.
import { randomBytes } from 'node:crypto';
import http from 'node:http';

const ROLES = '/latest/meta-data/iam/security-credentials/';

export class FakeImds {
  /** What was asked, newest last: "PUT /latest/api/token". */
  asked = [];
  #tokens = new Set();

  /** `credentials`: the principal of the local KMS whose access key is given out; it can be replaced. */
  static async start({ role = 'coffer-enclave', region, credentials }) {
    const imds = new FakeImds();
    Object.assign(imds, { role, region, credentials });
    imds.server = http.createServer((request, response) => {
      const [status, body] = imds.#answer(request);
      response.writeHead(status, { 'content-type': 'text/plain' }).end(body);
    });
    await new Promise((resolve) => imds.server.listen(0, '127.0.0.1', resolve));
    return imds;
  }

  /** The environment that leads AWS's programs here. */
  get environment() {
    return { AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://127.0.0.1:${this.server.address().port}` };
  }

  #answer({ method, url, headers }) {
    this.asked.push(`${method} ${url}`);
    if (method === 'PUT' && url === '/latest/api/token') {
      const seconds = Number(headers['x-aws-ec2-metadata-token-ttl-seconds']);
      if (!(seconds >= 1 && seconds <= 21600)) return [400, ''];
      const token = randomBytes(32).toString('base64');
      this.#tokens.add(token);
      return [200, token];
    }
    if (method !== 'GET') return [405, ''];
    if (!this.#tokens.has(headers['x-aws-ec2-metadata-token'])) return [401, ''];
    if (url === ROLES) return [200, this.role];
    if (url === '/latest/meta-data/placement/region') return [200, this.region];
    if (url !== ROLES + this.role) return [404, ''];
    return [200, this.#document()];
  }

  #document() {
    const { access_key_id: id, secret_access_key: secret, session_token: token, expires } = this.credentials;
    return JSON.stringify({
      Code: 'Success',
      LastUpdated: new Date().toISOString(),
      Type: 'AWS-HMAC',
      AccessKeyId: id,
      SecretAccessKey: secret,
      Token: token,
      Expiration: expires,
    });
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
