import { OAuthError } from 'grantkeeper';

/** `times` calls that start at once. @returns what became of each: its status, or the code of the error instead of one */
export async function callAtOnce(api: typeof fetch, times: number): Promise<(number | string)[]> {
  return Promise.all(Array.from({ length: times }, async () => {
    try {
      const response = await api('/v1/orders');
      await response.arrayBuffer();
      return response.status;
    } catch (error) {
      if (error instanceof OAuthError) return error.code;
      throw error;
    }
  }));
}
