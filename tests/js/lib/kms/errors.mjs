// Refusals, under the names that KMS gives them (API reference, "Errors" of each action and "Common
// errors").

/** `name`: the type as clients see it; `message`: undefined where KMS itself says none. */
export class KmsError extends Error {
  constructor(name, message, status = 400) {
    super(message ?? '');
    Object.assign(this, { name, status, text: message });
  }

  get body() {
    return this.text === undefined ? { __type: this.name } : { __type: this.name, message: this.text };
  }
}

export const validation = (message) => new KmsError('ValidationException', message);
export const accessDenied = (message) => new KmsError('AccessDeniedException', message);
export const notFound = (message) => new KmsError('NotFoundException', message);
/** KMS does not say what is wrong with a ciphertext, nor do we: a wrong context looks like a wrong byte. */
export const invalidCiphertext = () => new KmsError('InvalidCiphertextException');
export const malformedPolicy = (message) => new KmsError('MalformedPolicyDocumentException', message);
