// A plugin of the CDK CLI: its credentials for an account are the account itself, which is all that the embedded endpoint
// asks for. Without it, the CLI bootstraps the account of its own credentials only.
"use strict";

exports.version = "1";

exports.init = (cli) =>
  cli.registerCredentialProviderSource({
    name: "embedded endpoint",
    isAvailable: async () => true,
    canProvideCredentials: async () => true,
    getProvider: async (account) => ({ accessKeyId: account, secretAccessKey: "local" }),
  });
